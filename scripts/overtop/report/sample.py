"""Which queries of a panel a report shows as cards."""

import numpy as np

from overtop.labels import format_count

EXTREME_SHARE = 0.125
"""Share of the cards of each extreme: the most certain hits, the least certain hits, and so for the misses."""


def sample_queries(uncertainty: np.ndarray, hit: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Choose queries: the most and the least certain hits and misses, and a random sample of all others.

    Args:
        uncertainty: (Q,), higher is less trustworthy.
        hit: (Q,) bool.
        n: number of queries; all if there are not more.
        seed: of the random choice.

    Returns:
        Their indices, the most certain first; among equal ones the earlier first.
    """
    order = np.argsort(uncertainty, kind="stable")
    if n >= len(order):
        return order
    n_extreme = int(n * EXTREME_SHARE)
    chosen = np.zeros(len(order), dtype=bool)
    for group in (order[hit[order]], order[~hit[order]]):
        chosen[group[:n_extreme]] = chosen[group[len(group) - min(n_extreme, len(group)) :]] = True
    others = np.flatnonzero(~chosen)
    chosen[np.random.default_rng(seed).choice(others, n - chosen.sum(), replace=False)] = True
    return order[chosen[order]]


def describe_sample(n: int, n_queries: int, declared: int, seed: int, estimator: str) -> str:
    """One sentence on the queries that are shown.

    Args:
        n: number of cards.
        n_queries: number of all queries.
        declared: number of cards by the configuration.
        seed: of the run.
        estimator: display name of the estimator of the extremes.
    """
    all_queries = format_count(n_queries, "query")
    if n == n_queries:
        return f"All {all_queries}." if n > 1 else "The only query."
    extremes = int(n * EXTREME_SHARE)
    text = f"{n:,} of {all_queries}, drawn with seed {seed}."
    if extremes:
        text = (
            f"{n:,} of {all_queries}: by {estimator}, the {extremes:,} most and the {extremes:,} least certain hits, "
            f"likewise misses (fewer where there are not as many), and a random sample of the others (seed {seed})."
        )
    if n < declared:
        text += f" Fewer than the declared {declared:,}, so that the page stays below its size limit."
    return text
