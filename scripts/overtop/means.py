"""The harmonic mean, by which clean and attacked accuracy are combined."""

import numpy as np


def harmonic_mean(first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    """Harmonic mean of numbers that are not negative, element by element; 0 where either is 0.

    Example:
        >>> harmonic_mean(np.array([0.4383]), np.array([0.2874])).round(4).tolist()
        [0.3472]
    """
    total = np.asarray(first + second, dtype=np.float64)
    return np.divide(2 * first * second, total, out=np.zeros_like(total), where=total > 0)
