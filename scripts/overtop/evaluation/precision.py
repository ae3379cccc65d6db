"""Precision of the most certain queries: what answering a share of the queries achieves, with pointwise intervals."""

from dataclasses import dataclass

import numpy as np

from overtop.evaluation.bootstrap import count_resamples
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.significance import symmetric_interval


@dataclass(frozen=True)
class PrecisionCurve:
    """Wrong answers and precision at K numbers of answered queries.

    Attributes:
        errors: (K,) misses among the most certain queries; within queries of equal uncertainty, the expected number
            over all orders of these.
        low: (K,) lower end of the interval of the precision `1 - errors / answered`, at this number alone.
        high: (K,) upper end.
    """

    errors: np.ndarray
    low: np.ndarray
    high: np.ndarray


def measure_precision(
    queries: SortedQueries, weights: np.ndarray, answered: np.ndarray, level: float
) -> PrecisionCurve:
    """Measure the precision of the most certain queries, by the tie rule of `measure_rejection`.

    In a resample of the images, which may have more or fewer queries, the same share of the queries is answered. If all
    are answered, the interval is that of R@1 in the tables.

    Args:
        queries: the queries, with their clusters.
        weights: (B, clusters), from `draw_cluster_weights`.
        answered: (K,) numbers of queries to answer, each from 1 to the number of queries.
        level: of the intervals.

    Example:
        >>> queries = SortedQueries(np.array([0.1, 0.2, 0.2, 0.9]), np.array([True, True, False, False]))
        >>> measure_precision(queries, np.ones((100, 4), dtype=int), np.array([1, 2, 4]), 0.95).errors.tolist()
        [0.0, 0.5, 2.0]
    """
    counts = queries.count()
    errors = np.interp(answered, counts.n_queries[0], counts.n_misses[0])
    share = answered / queries.n_queries
    draws = [
        1 - np.interp(share * n_queries[-1], n_queries, n_misses) / (share * n_queries[-1])
        for counts in count_resamples(queries, weights)
        for n_queries, n_misses in zip(counts.n_queries, counts.n_misses, strict=True)
    ]
    low, high = symmetric_interval(1 - errors / answered, np.stack(draws, axis=-1), level, (0, 1))
    return PrecisionCurve(errors, low, high)
