"""Intervals and tests from bootstrap draws."""

import numpy as np


def percentile_interval(draws: np.ndarray, level: float) -> np.ndarray:
    """Ends of the equal-tailed interval that contains a share `level` of the bootstrap draws.

    Args:
        draws: (..., B), values of a measure in B resamples.
        level: in (0, 1).

    Returns:
        (2, ...), lower and upper end.
    """
    return np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=-1)


def bootstrap_p_value(draws: np.ndarray) -> float:
    """Two-sided p-value of the hypothesis that a difference is zero.

    It is twice the smaller of the shares of draws on either side of zero, where zeros count on both sides, and at most
    1. Both counts and B are increased by one, so that no finite number of resamples gives a p-value of zero (Davison
    and Hinkley 1997, Sec. 4.2).

    Args:
        draws: (B,), the difference in B resamples.
    """
    smaller = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return min(1.0, 2 * (smaller + 1) / (len(draws) + 1))


def adjust_holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values (n,) for multiple tests by the method of Holm (1979).

    NaN stands for a test that was not made: it stays NaN and does not count.
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]  # NaN sorts last
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted
