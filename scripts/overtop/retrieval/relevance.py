"""Whether the right items come first. Positives are a sparse boolean matrix (queries x gallery) without repeats."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array, csr_array

from overtop.errors import OvertopError
from overtop.retrieval.ranking import Ranking
from overtop.storage.split import Split
from overtop.terms import Direction


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


def positives(split: Split, direction: Direction, ranking: Ranking, extended: bool) -> csr_array:
    """Which gallery items are right for each query, as a boolean (Q, N) matrix.

    Args:
        extended: every item known to match, rather than the labelled pairs alone.
    """
    captions, images = np.arange(len(split.captions)), split.image_of_caption
    if extended:
        assert split.extended is not None, "asked for extended positives of a split without them"
        captions = np.repeat(captions, [len(known) for known in split.extended])
        images = np.concatenate(split.extended)
    shape = (len(split.captions), len(split.image_ids))
    pairs = coo_array((np.ones(len(images), dtype=bool), (captions, images)), shape=shape).tocsr()
    queries, gallery = split.caption_ids, split.image_ids
    if direction == "i2t":
        pairs, queries, gallery = pairs.T.tocsr(), gallery, queries
    return pairs[_rows(queries, ranking.query_ids)][:, _rows(gallery, ranking.gallery_ids)]


def _rows(all_ids: Sequence[str], kept: Sequence[str]) -> np.ndarray:
    position = {item: row for row, item in enumerate(all_ids)}
    return np.array([position[item] for item in kept])
