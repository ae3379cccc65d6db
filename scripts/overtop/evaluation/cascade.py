"""A cascade: a cheap estimator for every query, and an expensive posterior for the queries that it trusts least.

An escalated query has the answer and uncertainty of the expensive posterior, every other query those of the cheap one,
ordered on one scale (`overtop.evaluation.answers`). With no query escalated the cascade is therefore the cheap
estimator, and with all queries the expensive posterior except for its ties.

The cost of a query is the number of samples: one for the cheap answer, and for an escalated query those of the
expensive posterior: all S, or those that a stopping rule uses (`overtop.evaluation.stopping`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from overtop.evaluation.answers import (
    CascadeInputs,
    RankedAnswers,
    estimator_answers,
    pair_answers,
    rank_answers,
    vote_answers,
)
from overtop.evaluation.bootstrap import count_resamples, draw_cluster_weights
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.selective import aurc
from overtop.evaluation.significance import symmetric_interval
from overtop.evaluation.stopping import apply_stopping_rules, sample_distribution, summarise_votes, truncate_votes
from overtop.evaluation.voting import VoteResult, count_votes
from overtop.terms import Direction, Protocol

FULL, RANDOM = "full", "random"
"""Rules that use all samples of an escalated query, where the cheap estimator or chance chooses the queries."""
FRACTIONS = np.linspace(0, 1, 21)
"""Fractions of the queries that are escalated."""
CHEAP_SAMPLES = 1
"""Samples of the cheap answer."""
RANDOM_ORDERS = 20
"""Random orders of escalation that the rule `random` is averaged over."""


@dataclass(frozen=True)
class CascadeSettings:
    """Which cascades to compare.

    Attributes:
        cheap_estimator: answers every query and chooses the queries to escalate.
        expensive_estimator: of a query escalated to all samples.
        protocol: of both estimators.
        errors: error probabilities of the stopping rules; 0 for the rule that is always certain.
        resamples: of the bootstrap over images.
        level: of the intervals.
        seed: of the bootstrap and of random orders.
    """

    cheap_estimator: str
    expensive_estimator: str
    protocol: Protocol
    errors: tuple[float, ...]
    resamples: int
    level: float
    seed: int


@dataclass(frozen=True)
class CascadeResult:
    """Cost and quality of the cascades of one direction.

    Attributes:
        curve: one row per `rule` (`full`, `certain`, `d=...`, `random`) and `fraction` of the queries escalated, with
            `n_queries, samples_per_query, recall_at_1, aurc, aurc_low, aurc_high`, and `change, change_low,
            change_high`: AURC minus that of the cheap estimator alone, on the same resamples. The fitted error
            probabilities are the same in all resamples; the rule `random` has no intervals.
        votes: one row per stopping rule and per truncated number of samples, applied to all queries: the columns of
            `overtop.evaluation.stopping.summarise_votes`, `recall_at_1` and `aurc`.
        spent: `overtop.evaluation.stopping.sample_distribution` of the stopping rules.
    """

    curve: pd.DataFrame
    votes: pd.DataFrame
    spent: pd.DataFrame


@dataclass(frozen=True)
class CascadeStep:
    """A cascade with a fraction of the queries escalated.

    Attributes:
        fraction: of the queries.
        samples: per query, mean.
        queries: with the uncertainty and hit of their answers, and their image as cluster.
        recall: R@1.
    """

    fraction: float
    samples: float
    queries: SortedQueries
    recall: float

    def row(self) -> dict[str, float]:
        """Return the columns of `CascadeResult.curve` without intervals."""
        return {
            "fraction": self.fraction,
            "n_queries": self.queries.n_queries,
            "samples_per_query": self.samples,
            "recall_at_1": self.recall,
            "aurc": aurc(self.queries.count())[0],
        }


def run_cascade(
    test: CascadeInputs, val: CascadeInputs, direction: Direction, settings: CascadeSettings
) -> CascadeResult:
    """Escalate from none to all queries of one direction, under every rule.

    Args:
        test: results on the split that is measured.
        val: results on the split where error probabilities are fitted.
        direction: of the queries.
        settings: estimators and rules.

    Raises:
        OvertopError: an estimator was not scored, files contain different queries, or an error is out of range.
    """
    counts, counts_val = (count_votes(inputs.rankings[direction].sample_top[:, :, 0]) for inputs in (test, val))
    rules, rules_val = (apply_stopping_rules(each, settings.errors) for each in (counts, counts_val))
    cheap, cheap_val = (
        estimator_answers(inputs.cheap, direction, settings.cheap_estimator, settings.protocol)
        for inputs in (test, val)
    )
    full, full_val = (
        estimator_answers(inputs.expensive, direction, settings.expensive_estimator, settings.protocol).assign(
            samples=counts.n_samples
        )
        for inputs in (test, val)
    )
    full_cascade = rank_answers(pair_answers(cheap, full), pair_answers(cheap_val, full_val))
    cascades = {FULL: full_cascade}
    for rule, vote in rules.items():
        voted, voted_val = vote_answers(test, direction, vote), vote_answers(val, direction, rules_val[rule])
        cascades[rule] = rank_answers(pair_answers(cheap, voted), pair_answers(cheap_val, voted_val))
    curves = [_curve(answers, settings).assign(rule=rule) for rule, answers in cascades.items()]
    curves.append(_random_curve(full_cascade, settings.seed).assign(rule=RANDOM))
    return CascadeResult(
        curve=pd.concat(curves, ignore_index=True),
        votes=_summarise_rules(test, direction, rules | truncate_votes(counts), counts.after(counts.n_samples)),
        spent=sample_distribution(rules, counts.n_samples),
    )


def escalate(answers: RankedAnswers, order: np.ndarray) -> Iterator[CascadeStep]:
    """Escalate each of `FRACTIONS` of the queries in turn.

    Args:
        answers: of both posteriors.
        order: (Q,) numbers of the queries in the order of escalation.
    """
    for fraction in FRACTIONS:
        escalated = np.zeros(len(order), dtype=bool)
        escalated[order[: round(fraction * len(order))]] = True
        uncertainty, hit = (np.where(escalated, both[1], both[0]) for both in (answers.rank, answers.hit))
        samples = CHEAP_SAMPLES + (escalated * answers.samples).mean()
        yield CascadeStep(fraction, samples, SortedQueries(uncertainty, hit, answers.image), hit.mean())


def _curve(answers: RankedAnswers, settings: CascadeSettings) -> pd.DataFrame:
    """The most uncertain queries are escalated first; ties are shuffled so that file order has no influence."""
    shuffle = np.random.default_rng(settings.seed).permutation(len(answers.image))
    weights = draw_cluster_weights(answers.image.max() + 1, settings.resamples, settings.seed)
    steps = list(escalate(answers, np.lexsort([shuffle, -answers.rank[0]])))
    draws = np.stack(
        [np.concatenate([aurc(counts) for counts in count_resamples(step.queries, weights)]) for step in steps]
    )
    curve = pd.DataFrame([step.row() for step in steps])
    curve["change"] = curve["aurc"] - curve["aurc"][0]
    for name, values, smallest in (("aurc", draws, 0), ("change", draws - draws[0], -1)):
        curve[f"{name}_low"], curve[f"{name}_high"] = symmetric_interval(
            curve[name].to_numpy(), values, settings.level, (smallest, 1)
        )
    return curve


def _random_curve(answers: RankedAnswers, seed: int) -> pd.DataFrame:
    """Mean over random orders of escalation."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(answers.image)) for _ in range(RANDOM_ORDERS)]
    curve = pd.DataFrame([step.row() for order in orders for step in escalate(answers, order)])
    curve = curve.groupby("fraction", as_index=False).mean().astype({"n_queries": "int64"})
    return curve.assign(change=curve["aurc"] - curve["aurc"][0])


def _summarise_rules(
    inputs: CascadeInputs, direction: Direction, votes: Mapping[str, VoteResult], full: VoteResult
) -> pd.DataFrame:
    """Samples of each rule, and the quality of its answers if it is applied to all queries."""
    quality = []
    for rule, vote in votes.items():
        answers = vote_answers(inputs, direction, vote)
        uncertainty, hit = validate_scores(answers["uncertainty"], answers["hit"])
        area = aurc(SortedQueries(uncertainty, hit).count())[0]
        quality.append({"rule": rule, "recall_at_1": hit.mean(), "aurc": area})
    return summarise_votes(votes, full).merge(pd.DataFrame(quality), on="rule")
