"""Stopping rules: how many samples of a posterior a query needs until its vote for the top-1 is settled.

Most votes are decided long before the last sample. A rule that is checked after every sample stops a query early:

- `certain` (error 0): no other item can win in the remaining samples, so the winner is that of all S.
- `d=...` (error d > 0): with probability at least 1 - d over the order of the samples, no other item wins the vote of
  all S (`overtop.evaluation.martingale`).
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from overtop.evaluation.voting import VoteCounts, VoteResult

TRUNCATED_SAMPLES = (2, 5, 10, 20, 50)
"""Numbers of samples of the fixed rules, which stop every query after the same number."""
SAMPLE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def apply_stopping_rules(counts: VoteCounts, errors: Iterable[float]) -> dict[str, VoteResult]:
    """Return the vote under each stopping rule by its name, such as `certain` or `d=0.05`."""
    return {f"d={error:g}" if error else "certain": counts.when_settled(error) for error in errors}


def truncate_votes(counts: VoteCounts, numbers: Iterable[int] = TRUNCATED_SAMPLES) -> dict[str, VoteResult]:
    """Return the vote of the first few samples by name, such as `first 10`, for all `numbers` below S and for S."""
    below = sorted({number for number in numbers if number < counts.n_samples})
    return {f"first {number}": counts.after(number) for number in [*below, counts.n_samples]}


def summarise_votes(votes: Mapping[str, VoteResult], full: VoteResult) -> pd.DataFrame:
    """Summarise the samples that each rule uses, and how often it has the winner of all samples.

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
                "n_queries": len(vote.n_samples),
                "mean_samples": vote.n_samples.mean(),
                "share_saved": 1 - vote.n_samples.sum() / full.n_samples.sum(),
                **{
                    f"q{round(100 * q):02d}": np.quantile(vote.n_samples, q, method="inverted_cdf")
                    for q in SAMPLE_QUANTILES
                },
                "agreement": (vote.winner == full.winner).mean(),
                "consistency": vote.consistency.mean(),
            }
            for rule, vote in votes.items()
        ]
    )


def sample_distribution(votes: Mapping[str, VoteResult], n_samples: int) -> pd.DataFrame:
    """Return the cumulative distribution of the samples that each rule uses.

    Returns:
        One row per rule and number of samples from 0 to `n_samples`: `rule`, `samples`, `share_settled` (share of
        queries that use at most `samples`).
    """
    shares = {
        rule: np.cumsum(np.bincount(vote.n_samples, minlength=n_samples + 1)) / len(vote.n_samples)
        for rule, vote in votes.items()
    }
    wide = pd.DataFrame(shares).rename_axis("samples").reset_index()
    return wide.melt("samples", var_name="rule", value_name="share_settled")[["rule", "samples", "share_settled"]]
