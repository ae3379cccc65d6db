"""Whether the right items come first. Positives are a sparse boolean matrix (queries x gallery) without repeats."""

import numpy as np
from scipy.sparse import csr_array

from overtop.errors import OvertopError


def best_rank(top_ids: np.ndarray, positives: csr_array) -> np.ndarray:
    """The rank, from 1, of each query's best positive among its K best items; K + 1 if there is none.

    Ties are settled by the ranking: at equal similarity the smaller gallery index stands first.

    Args:
        top_ids: (Q, K) gallery indices, best first.
        positives: (Q, N).

    Returns:
        (Q,) int64.

    Raises:
        OvertopError: the two speak of different numbers of queries.
    """
    queries, kept = top_ids.shape
    if positives.shape[0] != queries:
        raise OvertopError(
            f"the ranking has {queries} queries and the positives {positives.shape[0]}; rank the same split again"
        )
    size = positives.shape[1]
    known = np.repeat(np.arange(queries), np.diff(positives.indptr)) * size + positives.indices
    found = np.isin(np.arange(queries)[:, None] * size + top_ids, known)
    return np.where(found.any(axis=1), found.argmax(axis=1), kept) + 1


def hits(top_ids: np.ndarray, positives: csr_array) -> np.ndarray:
    """Whether each query's top-1 is a positive, (Q,) bool."""
    return best_rank(top_ids[:, :1], positives) == 1


def recall_at(k: int, top_ids: np.ndarray, positives: csr_array) -> float:
    """Share of the queries with a positive among the k best, in [0, 1].

    Raises:
        OvertopError: the ranking kept fewer than k of a larger gallery, or there are no queries.
    """
    queries, kept = top_ids.shape
    if kept < min(k, positives.shape[1]):
        raise OvertopError(f"recall at {k} needs a ranking that keeps {k} items, this one keeps {kept}; raise its top")
    if not queries:
        raise OvertopError("there are no queries to evaluate; look at the data set's split")
    return float((best_rank(top_ids[:, :k], positives) <= min(k, kept)).mean())


def ties_at_top(top_scores: np.ndarray) -> int:
    """How many queries have two items of the very same mean similarity in front."""
    return int((top_scores[:, 0] == top_scores[:, 1]).sum()) if top_scores.shape[1] > 1 else 0
