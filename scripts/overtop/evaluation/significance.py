"""Intervals and tests from bootstrap draws.

Both rest on the distances of the draws from the value that was measured. A measure that is biased in resamples (bins,
ranks, and maxima over thresholds are) has draws on one side of its value; percentiles of the draws then miss the value
itself, and so do bias-corrected percentiles (BC, BCa) when the bias is as large as the spread. The symmetric interval
contains the value by construction, and its width includes the bias. docs/evaluation.md states its measured coverage.

A draw that is NaN, since the measure is undefined in the resample, counts as arbitrarily far from the value.
"""

import numpy as np

Bounds = tuple[float, float]
"""Smallest and largest possible value of a measure."""

UNBOUNDED: Bounds = (-np.inf, np.inf)


def symmetric_interval(
    value: np.ndarray | float, draws: np.ndarray, level: float, bounds: Bounds = UNBOUNDED
) -> np.ndarray:
    """Ends of the interval `value` +- the `level` quantile of the distances of the draws from it (Hall 1988).

    The quantile is the smallest distance for which the interval of a difference excludes zero exactly where
    `bootstrap_p_value` is below 1 - `level`. If fewer than a share `level` of the draws are defined, the interval is
    the whole range.

    Args:
        value: (...), of the measure; NaN has the interval (NaN, NaN).
        draws: (..., B), its values in B resamples.
        level: in (0, 1).
        bounds: at which the interval is cut off.

    Returns:
        (2, ...), lower and upper end.

    Example:
        >>> symmetric_interval(0.9, np.linspace(0.7, 0.9, 100), 0.95, bounds=(0, 1)).round(2).tolist()
        [0.71, 1.0]
    """
    value = np.asarray(value, dtype=np.float64)
    distance = np.append(_distances(value, draws), np.full((*value.shape, 1), np.inf), axis=-1)
    rank = int(level * distance.shape[-1] + 1e-9)  # 0.95 * 2000 counts as 1900 despite rounding
    radius = np.partition(distance, rank, axis=-1)[..., rank]
    low, high = np.minimum(bounds[0], value), np.maximum(bounds[1], value)  # a value may exceed them by rounding
    return np.clip([value - radius, value + radius], low, high)


def bootstrap_p_value(difference: float, draws: np.ndarray) -> float:
    """Two-sided p-value of the hypothesis that a difference is zero.

    It is the share of draws whose distance from the difference is at least that of zero. Count and B are increased by
    one, so that no finite number of resamples gives a p-value of zero (Davison and Hinkley 1997, Sec. 4.2).

    Args:
        difference: as measured; NaN has the p-value NaN.
        draws: (B,), the difference in B resamples.
    """
    if np.isnan(difference):
        return np.nan
    farther = np.count_nonzero(_distances(np.asarray(difference), draws) >= abs(difference))
    return (farther + 1) / (len(draws) + 1)


def adjust_holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values (n,) for multiple tests by the method of Holm (1979).

    NaN stands for a test that was not made: it stays NaN and does not count.
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]  # NaN sorts last
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted


def _distances(value: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(..., B) distances of the draws from the value; infinite for a draw that is NaN."""
    return np.nan_to_num(abs(draws - value[..., None]), nan=np.inf, posinf=np.inf)
