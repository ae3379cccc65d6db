"""Estimators that count how far the samples of a posterior agree."""

from __future__ import annotations

import numpy as np

from overtop.errors import OvertopError
from overtop.estimators.evidence import Evidence
from overtop.terms import Protocol

TOP = 5


def top1_consistency(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """The share of samples whose top-1 differs (Eq. 6 and 10).

    `published`: from the item that most samples rank first, which need not be the one returned.
    `corrected`: from the item returned, the top-1 of the mean similarity.
    """
    ranking = evidence.ranking
    firsts = ranking.sample_top[:, :, 0]
    if protocol == "published":
        votes = _Votes(firsts).counts.max(axis=1)
    else:
        votes = (firsts == ranking.top_ids[:, :1]).sum(axis=1)
    return 1.0 - votes / ranking.n_samples


def topk_consistency(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """One minus the mean Jaccard index of each sample's top 5 with a reference five (released code).

    `published`: the reference is the five items that most samples hold; at equal votes the one met first goes first,
    reading the samples in order and each from its best item down.
    `corrected`: the top 5 of the mean similarity. In a gallery of fewer items, all of them.

    Raises:
        OvertopError: the ranking was made with a smaller `top` or `vote_top`.
    """
    ranking = evidence.ranking
    k = min(TOP, len(ranking.gallery_ids))
    if ranking.sample_top.shape[2] < k or ranking.top_ids.shape[1] < k:
        raise OvertopError(f"topk_consistency needs rankings that keep {k} items; rank again with top and vote_top {k}")
    lists = ranking.sample_top[:, :, :k]
    returned = ranking.top_ids[:, :k]
    reference = _Votes(lists.reshape(len(lists), -1)).best(k) if protocol == "published" else returned
    shared = sum((lists == reference[:, None, j, None]).sum(axis=2) for j in range(k))
    return 1.0 - (shared / (2 * k - shared)).mean(axis=1)


class _Votes:
    """Votes for items, a row of ballots per query: how often each item occurs, and where first.

    Attributes:
        ids: (Q, L) the ballots sorted by item.
        counts: (Q, L) at the first ballot for an item its number of votes, elsewhere 0.
        first: (Q, L) the position at which that ballot was cast.
    """

    def __init__(self, ballots: np.ndarray) -> None:
        queries, length = ballots.shape
        self.first = np.argsort(ballots, axis=1, kind="stable")
        self.ids = np.take_along_axis(ballots, self.first, axis=1)
        opens = np.ones((queries, length), dtype=bool)
        opens[:, 1:] = self.ids[:, 1:] != self.ids[:, :-1]
        starts = np.flatnonzero(opens)
        self.counts = np.zeros((queries, length), dtype=np.int64)
        self.counts.flat[starts] = np.diff(starts, append=queries * length)

    def best(self, k: int) -> np.ndarray:
        """The k items with most votes, (Q, k); at equal votes the one cast first goes first."""
        length = self.ids.shape[1]
        order = np.argsort(-(self.counts * length - self.first), axis=1)[:, :k]
        return np.take_along_axis(self.ids, order, axis=1)
