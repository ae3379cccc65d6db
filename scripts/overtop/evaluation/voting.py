"""Votes of a posterior's samples for the top-1, counted sample by sample.

Every sample votes for the item that it ranks first. The item with most votes wins; of ties the one with the earlier
first vote.
"""

from dataclasses import dataclass

import numpy as np

from overtop.errors import OvertopError
from overtop.evaluation.martingale import VoteMartingale


@dataclass(frozen=True)
class VoteResult:
    """Result of a vote on each of Q queries.

    Attributes:
        n_samples: (Q,) int64, samples that voted.
        winner: (Q,) gallery index, the item with most votes; of ties the one with the earlier first vote.
        consistency: (Q,) float64, its share of the votes.
    """

    n_samples: np.ndarray
    winner: np.ndarray
    consistency: np.ndarray


@dataclass(frozen=True)
class VoteCounts:
    """Counts on each of Q queries after 1, 2, ..., S samples.

    Attributes:
        leader: (Q, S) gallery index, the item with most votes so far; of ties the one with the earlier first vote.
        votes: (Q, S) int64, its votes.
        evidence: (Q, S) float64, evidence that the leader wins the vote of all samples (`VoteMartingale`). A query is
            settled with error probability d once it reaches log(1/d).
    """

    leader: np.ndarray
    votes: np.ndarray
    evidence: np.ndarray

    @property
    def n_samples(self) -> int:
        """S."""
        return self.leader.shape[1]

    def after(self, n_samples: int) -> VoteResult:
        """Return the vote of the first `n_samples` samples.

        Raises:
            OvertopError: `n_samples` is not in 1, ..., S.
        """
        if not 1 <= n_samples <= self.n_samples:
            raise OvertopError(f"the vote has {self.n_samples} samples, not {n_samples}; use 1 to {self.n_samples}")
        return self._result(np.full(len(self.leader), n_samples))

    def when_settled(self, error: float) -> VoteResult:
        """Return the vote of each query at the first sample that settles it.

        Args:
            error: upper bound on the probability that another item wins the vote of all samples; 0 stops once no other
                item can win.

        Raises:
            OvertopError: `error` is not in [0, 1).
        """
        if not 0 <= error < 1:
            raise OvertopError(f"the error of a stopping rule is {error}; give 0 (certain) or more, below 1")
        required = -np.log(error) if error else np.inf
        return self._result((self.evidence >= required).argmax(axis=1) + 1)

    def _result(self, n_samples: np.ndarray) -> VoteResult:
        last = n_samples[:, None] - 1
        winner, votes = (np.take_along_axis(array, last, axis=1)[:, 0] for array in (self.leader, self.votes))
        return VoteResult(n_samples, winner, votes / n_samples)


def count_votes(top1: np.ndarray) -> VoteCounts:
    """Count votes sample by sample.

    Args:
        top1: (Q, S) gallery indices, the top-1 of each sample in their order: `Ranking.sample_top[:, :, 0]`.

    Raises:
        OvertopError: no query, or no sample.

    Example:
        >>> count_votes(np.array([[3, 7, 7, 7, 3]])).when_settled(0).n_samples
        array([4])
    """
    if top1.ndim != 2 or not top1.size:
        raise OvertopError(f"the votes have shape {top1.shape}; give (queries, samples), at least one of each")
    n_queries, n_samples = top1.shape
    martingale = VoteMartingale(n_queries, n_samples)
    steps = [martingale.add(_first_vote(top1, sample)) for sample in range(n_samples)]
    leader, votes, evidence = (np.stack(columns, axis=1) for columns in zip(*steps, strict=True))
    return VoteCounts(np.take_along_axis(top1, leader, axis=1), votes, evidence)


def _first_vote(top1: np.ndarray, sample: int) -> np.ndarray:
    """(Q,) the first sample that voted for the item that `sample` votes for."""
    return (top1[:, : sample + 1] == top1[:, sample, None]).argmax(axis=1)
