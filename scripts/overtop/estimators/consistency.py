"""Estimators that measure how far the samples of a posterior agree on the best items."""

import math
from typing import NamedTuple

import numpy as np

from overtop.errors import OvertopError
from overtop.estimators.confidence import to_uncertainty
from overtop.estimators.inputs import EstimatorInputs
from overtop.terms import VOTE_TOP, Protocol

JACCARD_DENOMINATOR = math.lcm(*range(1, 2 * VOTE_TOP + 1))
"""A multiple of the size of every union of two top 5: with it, sums of Jaccard indices are sums of integers."""


def top1_consistency(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """The share of samples whose top-1 differs from a reference item (Eq. 6 and 10), (Q,).

    `published`: the reference is the item that most samples rank first, which need not be the item returned.
    `corrected`: the reference is the item returned, the top-1 of the mean similarity; items of its group agree with it.
    """
    ranking = inputs.ranking
    sample_top1 = ranking.sample_top[:, :, 0]
    if protocol == "published":
        agreeing = _count_votes(sample_top1).counts.max(axis=1)
    else:
        groups = ranking.item_groups
        agreeing = (groups[sample_top1] == groups[ranking.top_ids[:, :1]]).sum(axis=1)
    return to_uncertainty(agreeing / ranking.n_samples, protocol)


def topk_consistency(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the mean Jaccard index of each sample's top 5 with a reference top 5 (released code), (Q,).

    `published`: the reference is the five items that occur in most samples' top 5. Ties are resolved by the first
    occurrence, reading the samples in order and each sample from its best item down.
    `corrected`: the reference is the top 5 of the mean similarity. Each item counts as its group, as often as the five
    items contain it: which caption of an image comes first makes no difference.

    The indices are added as integers and divided once, so that equal means are equal numbers. A gallery of fewer than
    five items is used whole.

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
        sample_top, reference = ranking.item_groups[sample_top], ranking.item_groups[ranking.top_ids[:, :k]]
    total = _scaled_jaccard_indices(sample_top, reference[:, None]).sum(axis=1)
    return to_uncertainty(total / (JACCARD_DENOMINATOR * ranking.n_samples), protocol)


def _scaled_jaccard_indices(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard index of two multisets (..., k) times `JACCARD_DENOMINATOR`, int64 (...).

    A member that one of them has m times and the other n times is shared min(m, n) times.
    """
    k = first.shape[-1]
    shared = np.zeros(np.broadcast_shapes(first.shape, second.shape)[:-1], dtype=np.int64)
    for j in range(k):
        member = first[..., j, None]
        shared += (first[..., :j] == member).sum(axis=-1) < (second == member).sum(axis=-1)
    return JACCARD_DENOMINATOR // (2 * k - shared) * shared


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
