"""Whether the right items come first. Positives are a sparse boolean matrix (queries x gallery) without repeats."""

import numpy as np
from scipy.sparse import csr_array

from overtop.errors import OvertopError


def best_rank(top_ids: np.ndarray, positives: csr_array) -> np.ndarray:
    """The rank, from 1, of each query's best positive among its K best items; infinity if there is none.

    Ties are settled by the ranking: at equal similarity the smaller gallery index stands first.

    Args:
        top_ids: (Q, K) gallery indices, best first.
        positives: (Q, N).

    Returns:
        (Q,) float64. A query's hit is `rank == 1`, recall at k the mean of `rank <= k` for k up to K.

    Raises:
        OvertopError: the two speak of different numbers of queries.
    """
    queries = len(top_ids)
    if positives.shape[0] != queries:
        raise OvertopError(
            f"the ranking has {queries} queries and the positives {positives.shape[0]}; rank the same split again"
        )
    size = positives.shape[1]
    known = np.repeat(np.arange(queries), np.diff(positives.indptr)) * size + positives.indices
    found = np.isin(np.arange(queries)[:, None] * size + top_ids, known)
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1.0, np.inf)


def tied_at_top(top_scores: np.ndarray) -> np.ndarray:
    """Whether two items of the very same mean similarity stand in front, (Q,) bool."""
    if top_scores.shape[1] == 1:
        return np.zeros(len(top_scores), dtype=bool)
    return top_scores[:, 0] == top_scores[:, 1]
