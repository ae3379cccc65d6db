"""Which gallery items are relevant to a query, and how a ranking orders them."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array, csr_array

from overtop.errors import OvertopError
from overtop.retrieval.ranking import Ranking
from overtop.storage.split import Split
from overtop.terms import Direction

_BLOCK = 4096
"""Queries whose ranks are looked up together: few enough for the memory and the caches, enough for numpy."""


def positives_matrix(split: Split, direction: Direction, ranking: Ranking, extended: bool) -> csr_array:
    """Return which gallery items are positives of each query.

    Args:
        split: the pairs of images and captions.
        direction: direction of the ranking.
        ranking: Q queries and N gallery items of the split; skipped items of the split may be missing.
        extended: use every item that is known to match instead of the labelled pairs alone.

    Returns:
        (Q, N) sparse boolean matrix without repeated entries; the row of a query without a known match is empty.
    """
    if extended:
        assert split.extended is not None, "the split has no extended positives"
        return _matrix_of_lists(split, direction, ranking, split.extended)
    return _matrix_of_lists(split, direction, ranking, split.positives)


def eccv_hits(split: Split, direction: Direction, ranking: Ranking) -> np.ndarray:
    """Return which queries have a top-1 that ECCV Caption lists as a match, for the queries that it judged.

    Args:
        split: the pairs of images and captions, with `eccv`.
        direction: direction of the ranking.
        ranking: as in `positives_matrix`.

    Returns:
        (Q,) float64: 1 for a hit, 0 for a miss, NaN for a query that was not judged or lacks a match in the gallery.
    """
    assert split.eccv is not None, "the split has no judgments of ECCV Caption"
    positives = _matrix_of_lists(split, direction, ranking, split.eccv.positives)
    ids, judged = split.caption_ids, split.eccv.judged_captions
    if direction == "i2t":
        ids, judged = split.image_ids, split.eccv.judged_images
    judged = judged[row_numbers(ids, ranking.query_ids)] & (np.diff(positives.indptr) > 0)
    return np.where(judged, best_rank(ranking.top_ids, positives) == 1, np.nan)


def _matrix_of_lists(
    split: Split, direction: Direction, ranking: Ranking, positives: Sequence[np.ndarray] | np.ndarray
) -> csr_array:
    """The matrix of `positives_matrix` from the indices of the positive images of each caption."""
    captions = np.repeat(np.arange(len(positives)), [len(images) for images in positives])
    images = np.concatenate([np.empty(0, dtype=np.int64), *positives])
    shape = (len(split.captions), len(split.image_ids))
    pairs = coo_array((np.ones(len(images), dtype=bool), (captions, images)), shape=shape).tocsr()
    queries, gallery = split.caption_ids, split.image_ids
    if direction == "i2t":
        pairs, queries, gallery = pairs.T.tocsr(), gallery, queries
    return pairs[row_numbers(queries, ranking.query_ids)][:, row_numbers(gallery, ranking.gallery_ids)]


def row_numbers(all_ids: Sequence[str], ids: Sequence[str]) -> np.ndarray:
    """Return the position of each of `ids` in `all_ids`."""
    position = {item: row for row, item in enumerate(all_ids)}
    return np.array([position[item] for item in ids], dtype=np.int64)


def best_rank(top_ids: np.ndarray, positives: csr_array) -> np.ndarray:
    """Return the rank, from 1, of the best positive of each query among its K best items; infinity if there is none.

    Args:
        top_ids: (Q, K) gallery indices, best first; among items of equal similarity in the order of the ranking.
        positives: (Q, N), as from `positives_matrix`.

    Returns:
        (Q,) float64. A query is a hit where its rank is 1, and recall at k is the mean of `rank <= k` for k up to K.

    Raises:
        OvertopError: the ranking and the positives differ in the number of queries.
    """
    queries = len(top_ids)
    if positives.shape[0] != queries:
        raise OvertopError(
            f"the ranking has {queries} queries and the positives {positives.shape[0]}; rank the same split again"
        )
    blocks = [slice(start, start + _BLOCK) for start in range(0, max(queries, 1), _BLOCK)]
    return np.concatenate([_best_rank(top_ids[block], positives[block]) for block in blocks])


def _best_rank(top_ids: np.ndarray, positives: csr_array) -> np.ndarray:
    """`best_rank` of a block of queries: one set lookup, of one number per pair of query and item, serves them all."""
    rows, size = np.arange(len(top_ids)), positives.shape[1]
    positive_pairs = np.repeat(rows, np.diff(positives.indptr)) * size + positives.indices
    is_positive = np.isin(rows[:, None] * size + top_ids, positive_pairs)
    return np.where(is_positive.any(axis=1), is_positive.argmax(axis=1) + 1.0, np.inf)


def is_tied_at_top(top_scores: np.ndarray) -> np.ndarray:
    """Return whether the best two items of each query have exactly the same mean similarity.

    Args:
        top_scores: (Q, K) mean similarities, best first.

    Returns:
        (Q,) bool; False in a gallery of one item.
    """
    if top_scores.shape[1] == 1:
        return np.zeros(len(top_scores), dtype=bool)
    return top_scores[:, 0] == top_scores[:, 1]
