"""How many labelled queries a threshold needs: an estimate from the queries that are there."""

import numpy as np
from scipy.stats import norm

from overtop.confidence.thresholds import N_COVERAGES, START_FACTOR, fewest_queries

FEWEST_ANSWERED = 20
"""Answered queries, at least, whose share of hits is used."""


def queries_needed(uncertainty: np.ndarray, hit: np.ndarray, precision: float, confidence: float) -> float:
    """Estimate the number of labelled queries from which a threshold would be guaranteed that answers some of them.

    At each coverage the share of hits is taken as that of new queries, and the number of queries that a test needs is
    taken from the normal approximation, at half of the level, about the share of the first sequence of tests
    (`overtop.confidence.thresholds`). The smallest number of all coverages is returned, which is too small rather than
    too large, since the best coverage of a few queries is partly chance.

    Args:
        uncertainty: (Q,), higher is less trustworthy; independent queries.
        hit: (Q,) bool, whether the top-1 is right.
        precision: target R@1, in (0, 1).
        confidence: in (0, 1).

    Returns:
        The number with two significant digits; infinity if no share of hits exceeds the target.

    Example:
        >>> queries_needed(np.arange(40), np.arange(40) < 20, precision=0.9, confidence=0.95)
        180.0
    """
    n_hits = np.cumsum(hit[np.argsort(uncertainty, kind="stable")])
    answered = np.unique(len(hit) * np.arange(1, N_COVERAGES + 1) // N_COVERAGES)
    answered = answered[answered >= FEWEST_ANSWERED]
    margin = n_hits[answered - 1] / answered - precision
    answered, margin = answered[margin > 0], margin[margin > 0]
    if not len(answered):
        return np.inf
    z = norm.ppf(1 - (1 - confidence) / 2)
    tested = np.maximum(
        precision * (1 - precision) * (z / margin) ** 2, START_FACTOR * fewest_queries(precision, confidence)
    )
    needed = float((tested * len(hit) / answered).min())
    step = 10 ** max(np.floor(np.log10(needed)) - 1, 0)
    return float(np.ceil(needed / step) * step)
