"""Intervals and tests from the values that a bootstrap drew."""

import numpy as np


def interval(draws: np.ndarray, level: float) -> tuple[float, float]:
    """The percentile interval that holds a share `level` of the draws (B,), the same share on either side of it."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_value(draws: np.ndarray) -> float:
    """Two-sided test that a difference is zero, from its draws (B,).

    Twice the smaller of the shares of draws on either side of zero, zeros on both, at most 1. One is added to counts
    and to B, so that no finite number of resamples claims a certainty (Davison and Hinkley 1997, Sec. 4.2).
    """
    sides = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return min(1.0, 2 * (sides + 1) / (len(draws) + 1))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's (1979) adjustment for several tests, (n,); a missing value is no test and stays missing."""
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]  # NaN sorts last
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted
