"""How many samples of a posterior a query needs: the vote for the top-1, stopped once its outcome is settled.

Every sample votes for the item it ranks first. Of S samples the item with most votes wins; at equal votes the one voted
for first. Most queries are decided long before the last sample, and a rule that may look after every sample says when:

`certain` (error 0): no rival can catch up in the samples that remain, so the winner is that of all S.
error d > 0: with probability at least 1 - d, over the order of the samples, no item has more of all S votes.

The second is a test, for each item m, of "m wins the vote of all S": a bettor stakes on the strongest rival R of m, and
his wealth multiplies over the samples. With a votes for R and b <= a for m drawn, and r samples to come, the next vote
that goes to either goes to R with probability at most

    p = 1/2 - (a - b) / (2 r)

if m wins, because R then holds at most half of both their votes. The wealth is multiplied by theta / p when it goes to
R and by (1 - theta) / (1 - p) when it goes to m, so its expectation never grows, and it reaches 1/d with probability at
most d, however often one looks (Ville's inequality). theta is the mean of R's share under the Beta posterior of a
uniform prior on [1/2, 1]. A query is settled when every item but the leader is rejected, also those without a vote so
far. The item that wins is one of them, and it alone must not be rejected: d need not be divided among the rivals.

This is the prior-posterior-ratio martingale of mode estimation (Jain et al., PAC Mode Estimation using PPR Martingale
Confidence Sequences, AISTATS 2022), but for the finite number of samples (Waudby-Smith and Ramdas, Confidence Sequences
for Sampling Without Replacement, NeurIPS 2020) and with the rival chosen as the samples come. Nothing is claimed of the
winner of infinitely many samples, and nothing of an ensemble whose members are always asked in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betainc

from overtop.errors import OvertopError

CERTAIN = 0.0
"""The error of the rule that is never wrong about the vote of all samples."""
TRUNCATIONS = (2, 5, 10, 20, 50)
"""Numbers of samples to which a fixed rule would cut every query."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Vote:
    """A vote on each of Q queries.

    Attributes:
        samples: (Q,) int64, how many samples were drawn.
        winner: (Q,) gallery index, the item with most votes among them; at equal votes the one voted for first.
        consistency: (Q,) float64, its share of these votes.
    """

    samples: np.ndarray
    winner: np.ndarray
    consistency: np.ndarray


@dataclass(frozen=True)
class Count:
    """The vote on each of Q queries as it stands after 1, 2, ..., S samples.

    Attributes:
        leader: (Q, S) gallery index, the item with most votes so far; at equal votes the one voted for first.
        votes: (Q, S) int64, how many it has.
        evidence: (Q, S) float64, log of the largest wealth that every other item's bettor has reached; infinite once no
            rival can catch up. Settled at error d where it is at least log(1/d).
    """

    leader: np.ndarray
    votes: np.ndarray
    evidence: np.ndarray

    @property
    def n_samples(self) -> int:
        """S."""
        return self.leader.shape[1]

    def first(self, samples: int) -> Vote:
        """The vote of the first `samples` samples.

        Raises:
            OvertopError: there are not that many, or none is asked for.
        """
        if not 1 <= samples <= self.n_samples:
            raise OvertopError(f"the vote has {self.n_samples} samples, not {samples}; ask for 1 to {self.n_samples}")
        return self._after(np.full(len(self.leader), samples))

    def settled(self, error: float) -> Vote:
        """The vote of each query at the first sample that settles it.

        Args:
            error: how probable another winner of all S samples may be; 0 for never (`CERTAIN`).

        Raises:
            OvertopError: `error` is not in [0, 1).
        """
        if not 0 <= error < 1:
            raise OvertopError(f"the error of a stopping rule is {error}; give 0 (certain) or more, below 1")
        enough = -np.log(error) if error else np.inf
        return self._after((self.evidence >= enough).argmax(axis=1) + 1)

    def _after(self, samples: np.ndarray) -> Vote:
        last = samples[:, None] - 1
        winner, votes = (np.take_along_axis(array, last, axis=1)[:, 0] for array in (self.leader, self.votes))
        return Vote(samples, winner, votes / samples)


def count(ballots: np.ndarray) -> Count:
    """Count the votes sample by sample.

    Args:
        ballots: (Q, S) gallery indices, the top-1 of each sample in their order: `Ranking.sample_top[:, :, 0]`.

    Raises:
        OvertopError: no query, or no sample.
    """
    if ballots.ndim != 2 or not ballots.size:
        raise OvertopError(f"ballots have shape {ballots.shape}; give (queries, samples), at least one of each")
    queries, samples = ballots.shape
    running = _Running(queries, samples)
    standing = [running.add(_first_cast(ballots, nth)) for nth in range(samples)]
    leader, votes, evidence = (np.stack(columns, axis=1) for columns in zip(*standing, strict=True))
    return Count(np.take_along_axis(ballots, leader, axis=1), votes, evidence)


def stopped(counted: Count, errors: Iterable[float]) -> dict[str, Vote]:
    """The vote under each stopping rule, by its name: `certain`, `d=0.05`."""
    return {f"d={error:g}" if error else "certain": counted.settled(error) for error in errors}


def truncated(counted: Count, numbers: Iterable[int] = TRUNCATIONS) -> dict[str, Vote]:
    """The vote of the first few samples, by name: `first 10`; numbers that exceed S are left out, S itself is added."""
    fewer = sorted({number for number in numbers if number < counted.n_samples})
    return {f"first {number}": counted.first(number) for number in [*fewer, counted.n_samples]}


def savings(votes: Mapping[str, Vote], full: Vote) -> pd.DataFrame:
    """What each rule spends, and how often it finds the winner of all samples.

    Args:
        votes: by the rule's name.
        full: the vote of all samples.

    Returns:
        One row per rule: `rule`, `n_queries`, `mean_samples`, `share_saved`, quantiles `q05` to `q95` of the samples,
        `agreement` (share of queries with the winner of `full`) and `consistency` (mean share of the winner's votes).
    """
    return pd.DataFrame(
        [
            {
                "rule": rule,
                "n_queries": len(vote.samples),
                "mean_samples": vote.samples.mean(),
                "share_saved": 1 - vote.samples.sum() / full.samples.sum(),
                **{f"q{round(100 * q):02d}": np.quantile(vote.samples, q, method="inverted_cdf") for q in QUANTILES},
                "agreement": (vote.winner == full.winner).mean(),
                "consistency": vote.consistency.mean(),
            }
            for rule, vote in votes.items()
        ]
    )


def spent(votes: Mapping[str, Vote], n_samples: int) -> pd.DataFrame:
    """The distribution of the samples used.

    Returns:
        One row per rule and number of samples from 0 to `n_samples`: `rule`, `samples`, `share_settled` (the share of
        queries that needed at most so many).
    """
    at_most = {
        rule: np.cumsum(np.bincount(vote.samples, minlength=n_samples + 1)) / len(vote.samples)
        for rule, vote in votes.items()
    }
    wide = pd.DataFrame(at_most).rename_axis("samples").reset_index()
    return wide.melt("samples", var_name="rule", value_name="share_settled")[["rule", "samples", "share_settled"]]


def _first_cast(ballots: np.ndarray, nth: int) -> np.ndarray:
    """For each query at which sample the `nth` sample's item was first voted for: its column from here on."""
    return (ballots[:, : nth + 1] == ballots[:, nth, None]).argmax(axis=1)


class _Running:
    """Votes and wealth per query and item. An item's column is the sample that first voted for it.

    A column without votes stands for an item not seen so far; one is left until the last sample, when all is certain.
    """

    def __init__(self, queries: int, samples: int) -> None:
        self.left = samples
        self.row = np.arange(queries)
        self.column = np.arange(samples)
        self.leader = np.zeros(queries, dtype=np.int64)
        self.votes = np.zeros((queries, samples), dtype=np.int64)
        self.wealth = np.zeros((queries, samples))  # of the bettor against this item winning; logs, like all below
        self.richest = np.zeros((queries, samples))
        self.share = _rivals_share(samples)

    def add(self, item: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take in one sample's vote; the leader's column, its votes and the evidence, each (Q,)."""
        if self.votes.any():  # before the first vote there is no rival to bet on
            self.wealth += self._gains(item[:, None])
            np.maximum(self.richest, self.wealth, out=self.richest)
        self.votes[self.row, item] += 1
        self.left -= 1
        self.leader = self.votes.argmax(axis=1)  # of equals the smaller column, which was voted for earlier
        most = self.votes[self.row, self.leader]
        lead = most[:, None] - self.votes
        beaten = (lead > self.left) | ((lead == self.left) & (self.leader[:, None] < self.column))
        self.richest[beaten] = np.inf
        others = np.where(self.column == self.leader[:, None], np.inf, self.richest)
        return self.leader, most, others.min(axis=1)

    def _gains(self, item: np.ndarray) -> np.ndarray:
        """What each item's bettor gains: he staked on the leader, or on the second against the leader itself."""
        leading = self.column == self.leader[:, None]
        behind = np.where(leading, -1, self.votes)
        second = behind.argmax(axis=1)
        rival = np.where(leading, second[:, None], self.leader[:, None])
        rivals_votes = np.take_along_axis(self.votes, rival, axis=1)
        win, lose = _log_gains(self.share, self.left)
        gained = np.where(item == self.column, lose[rivals_votes, self.votes], 0.0)
        return np.where(item == rival, win[rivals_votes, self.votes], gained)


def _rivals_share(samples: int) -> np.ndarray:
    """theta by the votes for the rival (rows) and for the item (columns)."""
    rival, item = np.indices((samples, samples))
    tail = betainc(item + 1, rival + 2, 0.5) / betainc(item + 1, rival + 1, 0.5)
    return (rival + 1) / (rival + item + 2) * tail


def _log_gains(share: np.ndarray, left: int) -> tuple[np.ndarray, np.ndarray]:
    """Log of the factors on the wealth when the rival, or the item, gets the vote; 0 where the rival is behind."""
    rival, item = np.indices(share.shape)
    at_most = np.maximum(0.5 - (rival - item) / (2 * left), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        win, lose = np.log(share / at_most), np.log((1 - share) / (1 - at_most))
    return np.where(rival < item, 0.0, win), np.where(rival < item, 0.0, lose)
