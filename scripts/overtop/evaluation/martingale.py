"""A sequential test for the winner of a vote among a finite number of samples.

Every sample of a posterior votes for the item that it ranks first. For each item m the hypothesis "m wins the vote of
all S samples" is tested by betting: after every sample, a bettor against m stakes on m's strongest rival R, and the
bettor's wealth is multiplied. With a votes for R and b <= a for m so far, and r samples remaining, the next vote for
either of the two is for R with probability at most

    p = 1/2 - (a - b) / (2 r)

if m wins, because R then has at most half of both items' votes. The wealth is multiplied by theta / p if the vote is
for R, and by (1 - theta) / (1 - p) if it is for m, so that its expectation never grows. It therefore reaches 1/d with
probability at most d, however often it is checked (Ville's inequality). theta is the mean of R's share under the Beta
posterior of a uniform prior on [1/2, 1]. A query is settled when every item except the leader is rejected, including
items without a vote so far. Only the rejection of the winner itself is an error, so d need not be divided among rivals.

This is the prior-posterior-ratio martingale of mode estimation (Jain et al., PAC Mode Estimation using PPR Martingale
Confidence Sequences, AISTATS 2022), for a finite number of samples (Waudby-Smith and Ramdas, Confidence Sequences for
Sampling Without Replacement, NeurIPS 2020) and with the rival chosen after every sample. The probability is over the
order of the samples: the test says nothing about the winner of infinitely many samples, and nothing about an ensemble
whose members always come in the same order.
"""

import numpy as np
from scipy.special import betainc


class VoteMartingale:
    """Votes and wealth per query and item, updated sample by sample.

    The column of an item is the index of the sample that first voted for it. A column without votes represents an item
    without votes so far; there is one until the last sample, when the outcome is certain.

    Wealth is stored as logarithm.
    """

    def __init__(self, n_queries: int, n_samples: int) -> None:
        """Start without votes.

        Args:
            n_queries: Q.
            n_samples: S.
        """
        self.n_remaining = n_samples
        self.row = np.arange(n_queries)
        self.column = np.arange(n_samples)
        self.leader = np.zeros(n_queries, dtype=np.int64)
        self.votes = np.zeros((n_queries, n_samples), dtype=np.int64)
        self.log_wealth = np.zeros((n_queries, n_samples))  # of the bettor against each item
        self.max_log_wealth = np.zeros((n_queries, n_samples))
        self.rival_share = _mean_rival_share(n_samples)

    def add(self, item: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Add one sample's vote.

        Args:
            item: (Q,) column of the item voted for.

        Returns:
            Each (Q,): the leader's column, its votes, and the evidence: the smallest log wealth that the bettors
            against the other items have reached; infinite once no other item can win.
        """
        if self.votes.any():  # the first vote has no rival to bet on
            self.log_wealth += self._log_gains(item[:, None])
            np.maximum(self.max_log_wealth, self.log_wealth, out=self.max_log_wealth)
        self.votes[self.row, item] += 1
        self.n_remaining -= 1
        self.leader = self.votes.argmax(axis=1)  # of ties the smaller column, which had its first vote earlier
        leader_votes = self.votes[self.row, self.leader]
        lead = leader_votes[:, None] - self.votes
        loses_tie = (lead == self.n_remaining) & (self.leader[:, None] < self.column)
        self.max_log_wealth[(lead > self.n_remaining) | loses_tie] = np.inf
        others = np.where(self.column == self.leader[:, None], np.inf, self.max_log_wealth)
        return self.leader, leader_votes, others.min(axis=1)

    def _log_gains(self, item: np.ndarray) -> np.ndarray:
        """Log factor on the wealth against each item; the rival is the leader, or the second against the leader."""
        is_leader = self.column == self.leader[:, None]
        second = np.where(is_leader, -1, self.votes).argmax(axis=1)
        rival = np.where(is_leader, second[:, None], self.leader[:, None])
        rival_votes = np.take_along_axis(self.votes, rival, axis=1)
        win, lose = _log_factors(self.rival_share, self.n_remaining)
        own_vote = np.where(item == self.column, lose[rival_votes, self.votes], 0.0)
        return np.where(item == rival, win[rival_votes, self.votes], own_vote)


def _mean_rival_share(n_samples: int) -> np.ndarray:
    """(S, S) theta by the votes for the rival (rows) and for the item (columns)."""
    rival, item = np.indices((n_samples, n_samples))
    tail = betainc(item + 1, rival + 2, 0.5) / betainc(item + 1, rival + 1, 0.5)
    return (rival + 1) / (rival + item + 2) * tail


def _log_factors(rival_share: np.ndarray, n_remaining: int) -> tuple[np.ndarray, np.ndarray]:
    """(S, S) log factors on the wealth if the vote is for the rival, or the item; 0 where the rival has fewer votes."""
    rival, item = np.indices(rival_share.shape)
    max_probability = np.maximum(0.5 - (rival - item) / (2 * n_remaining), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        win, lose = np.log(rival_share / max_probability), np.log((1 - rival_share) / (1 - max_probability))
    return np.where(rival < item, 0.0, win), np.where(rival < item, 0.0, lose)
