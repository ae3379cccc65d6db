"""Transductive estimators: they read the similarities of all test queries, not only of the query that they judge.

They profit from benchmarks in which each gallery item is right for one query, and lose their advantage with few
queries. So they are not rows of a table: `evaluation.thinning` measures them against the number of test queries.

All functions take the (Q, N) float64 similarities of Q test queries to N gallery items and the temperature of the
softmax, and return one uncertainty per query, (Q,), of the item that is best by similarity. Items that belong together
are merged first (`merge_groups`).

Conneau et al., Word Translation Without Parallel Data, ICLR 2018 (CSLS); Cheng et al., Improving Video-Text Retrieval
by Multi-Stream Corpus Alignment and Dual Softmax Loss, arXiv 2109.04290, 2021; Cuturi, Sinkhorn Distances: Lightspeed
Computation of Optimal Transport, NeurIPS 2013.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

CSLS_NEIGHBOURS = 10
"""k of the mean similarities that CSLS subtracts, as in its publication."""

SINKHORN_STEPS = 50
"""Normalisations of columns and rows; more change the order of the queries little."""


def csls_margin(similarity: np.ndarray, temperature: float) -> np.ndarray:
    """One minus the margin of the best item under cross-domain similarity local scaling (Conneau et al. 2018).

    CSLS is 2 s - r_q - r_g, with the mean similarities r_q of the query to its k best items and r_g of the item to its
    k best queries. r_q cancels in the margin. It is negative where CSLS prefers another item.
    """
    k = min(CSLS_NEIGHBOURS, len(similarity))
    scaled = 2 * similarity - np.partition(similarity, -k, axis=0)[-k:].mean(axis=0)
    best = similarity.argmax(axis=1)[:, None]
    own = np.take_along_axis(scaled, best, axis=1)[:, 0]
    if similarity.shape[1] == 1:
        return np.zeros(len(similarity))
    np.put_along_axis(scaled, best, -np.inf, axis=1)
    return 1.0 - (own - scaled.max(axis=1))


def dual_softmax(similarity: np.ndarray, temperature: float) -> np.ndarray:
    """One minus the product of the softmax over the gallery and the softmax over the queries (Cheng et al. 2021)."""
    logits = similarity / temperature
    best = similarity.argmax(axis=1)
    own = logits[np.arange(len(logits)), best]
    return -np.expm1(2 * own - logsumexp(logits, axis=1) - logsumexp(logits, axis=0)[best])


def reciprocal_rank(similarity: np.ndarray, temperature: float) -> np.ndarray:
    """One minus the reciprocal rank of the query among all queries for its best item; ties have the best rank."""
    best = similarity.argmax(axis=1)
    own = similarity[np.arange(len(similarity)), best]
    columns = np.ascontiguousarray(similarity.T)
    rank = np.array([1 + np.count_nonzero(columns[item] > score) for item, score in zip(best, own, strict=True)])
    return 1.0 - 1.0 / rank


def sinkhorn(similarity: np.ndarray, temperature: float) -> np.ndarray:
    """One minus the share of the query's mass at its best item in an entropic transport plan (Cuturi 2013).

    All queries have equal mass, and so have all items: the columns and rows of exp(s / T) are normalised in turn.
    """
    logits = similarity / temperature
    best = similarity.argmax(axis=1)
    plan = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows = np.ones(len(plan))
    for _ in range(SINKHORN_STEPS):
        columns = 1 / np.maximum(rows @ plan, np.finfo(float).tiny)
        rows = 1 / np.maximum(plan @ columns, np.finfo(float).tiny)
    return 1.0 - rows * plan[np.arange(len(plan)), best] * columns[best]


TRANSDUCTIVE: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "csls_margin": csls_margin,
    "dual_softmax": dual_softmax,
    "reciprocal_rank": reciprocal_rank,
    "sinkhorn": sinkhorn,
}
"""The transductive estimators by name."""


def merge_groups(similarity: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The similarity of each query to the best item of each group, (Q, number of groups).

    Args:
        similarity: (Q, N).
        groups: (N,) the group of each item.
    """
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.maximum.reduceat(similarity[:, order], starts, axis=1)
