"""Estimators that measure how far the samples of a posterior agree on the best items."""

from typing import NamedTuple

import numpy as np

from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.terms import VOTE_TOP, Protocol


def top1_consistency(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """The share of samples whose top-1 differs from a reference item (Eq. 6 and 10), (Q,).

    `published`: the reference is the item that most samples rank first, which need not be the item returned.
    `corrected`: the reference is the item returned, the top-1 of the mean similarity.
    """
    ranking = inputs.ranking
    sample_top1 = ranking.sample_top[:, :, 0]
    if protocol == "published":
        agreeing = _count_votes(sample_top1).counts.max(axis=1)
    else:
        agreeing = (sample_top1 == ranking.top_ids[:, :1]).sum(axis=1)
    return 1.0 - agreeing / ranking.n_samples


def topk_consistency(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the mean Jaccard index of each sample's top 5 with a reference top 5 (released code), (Q,).

    `published`: the reference is the five items that occur in most samples' top 5. Ties are resolved by the first
    occurrence, reading the samples in order and each sample from its best item down.
    `corrected`: the reference is the top 5 of the mean similarity.

    A gallery of fewer than five items is used whole.

    Raises:
        OvertopError: the ranking was computed with a smaller `top` or `vote_top`.
    """
    ranking = inputs.ranking
    k = min(VOTE_TOP, len(ranking.gallery_ids))
    if ranking.sample_top.shape[2] < k or ranking.top_ids.shape[1] < k:
        raise OvertopError(
            f"topk_consistency needs a ranking that contains {k} items per query and sample; rank again with top and "
            f"vote_top {k} or more"
        )
    sample_top = ranking.sample_top[:, :, :k]
    if protocol == "published":
        reference = _most_voted(sample_top.reshape(len(sample_top), -1), k)
    else:
        reference = ranking.top_ids[:, :k]
    shared = sum((sample_top == reference[:, None, j, None]).sum(axis=2) for j in range(k))
    return 1.0 - (shared / (2 * k - shared)).mean(axis=1)


class _VoteCounts(NamedTuple):
    """How often each item occurs in a row of votes.

    Attributes:
        items: (Q, L) the votes of each query, sorted by item.
        counts: (Q, L) number of votes for the item at its first entry in `items`, 0 at its other entries.
        positions: (Q, L) position of each entry of `items` in the unsorted votes.
    """

    items: np.ndarray
    counts: np.ndarray
    positions: np.ndarray


def _count_votes(votes: np.ndarray) -> _VoteCounts:
    """Count the votes of every query, given as (Q, L) items."""
    queries, length = votes.shape
    positions = np.argsort(votes, axis=1, kind="stable")
    items = np.take_along_axis(votes, positions, axis=1)
    is_first = np.ones((queries, length), dtype=bool)
    is_first[:, 1:] = items[:, 1:] != items[:, :-1]
    starts = np.flatnonzero(is_first)
    counts = np.zeros((queries, length), dtype=np.int64)
    counts.flat[starts] = np.diff(starts, append=queries * length)
    return _VoteCounts(items, counts, positions)


def _most_voted(votes: np.ndarray, k: int) -> np.ndarray:
    """The k items with most votes, (Q, k), most first; of items with equal votes, the one voted for first."""
    items, counts, positions = _count_votes(votes)
    order = np.argsort(-(counts * votes.shape[1] - positions), axis=1)[:, :k]
    return np.take_along_axis(items, order, axis=1)
