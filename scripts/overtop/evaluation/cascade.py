"""A cheap estimator for every query, and an expensive posterior for those that it trusts least.

An escalated query has the expensive posterior's answer and uncertainty, any other the cheap one's. Shares of a vote are
often equal; there the cheap uncertainty decides, for it is known anyway. The two live on different scales, so each is
mapped to the probability that its answer is wrong, by isotonic regression on the validation split; among equal
probabilities the cheap answers come first, and each posterior keeps its own order. So with nothing escalated the
cascade is the cheap estimator, and with everything the expensive posterior but for its ties.

The cost of a query is the samples it takes: one for the cheap answer, and if it is escalated those of the expensive
posterior, all S or as many as a stopping rule asks for (`evaluation.stopping`). Under a stopping rule the answer is the
winner of the vote, and the uncertainty one minus its share of the votes drawn: the mean similarity is that of all S.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from overtop.errors import OvertopError, suggestion
from overtop.evaluation.bootstrap import CHUNK, draw_clusters
from overtop.evaluation.inputs import checked
from overtop.evaluation.ordering import Ordering
from overtop.evaluation.selective import aurc
from overtop.evaluation.stopping import Count, Vote, count, savings, spent, stopped, truncated
from overtop.retrieval.ranking import Ranking
from overtop.terms import Direction, Protocol

FULL, RANDOM = "full", "random"
"""Rules that take all samples of an escalated query, chosen by the cheap estimator or by chance."""
FRACTIONS = np.linspace(0, 1, 21)
CHEAP = 1
"""Samples of the cheap answer."""
SHUFFLES = 20
"""Choices by chance, of which the mean is shown."""


@dataclass(frozen=True)
class Known:
    """What is known of one split.

    Attributes:
        cheap: scores of the cheap posterior, as the `score` rule writes them.
        expensive: scores of the expensive posterior, both directions.
        rankings: of the expensive posterior.
    """

    cheap: pd.DataFrame
    expensive: pd.DataFrame
    rankings: Mapping[Direction, Ranking]


@dataclass(frozen=True)
class Plan:
    """Which cascades to compare.

    Attributes:
        cheap_estimator: answers first, and chooses whom to escalate.
        expensive_estimator: of a query escalated to all samples.
        protocol: of both estimators.
        errors: of the stopping rules; 0 for the rule that is never wrong.
        resamples: of the bootstrap over images.
        level: of its intervals.
        seed: of the bootstrap and of choices by chance.
    """

    cheap_estimator: str
    expensive_estimator: str
    protocol: Protocol
    errors: tuple[float, ...]
    resamples: int
    level: float
    seed: int


@dataclass(frozen=True)
class Study:
    """What the cascades of one direction cost, and what they are worth.

    Attributes:
        curve: one row per `rule` (`full`, `certain`, `d=...`, `random`) and `fraction` of the queries escalated, with
            `n_queries, samples_per_query, recall_at_1, aurc, aurc_low, aurc_high`, and `change, change_low,
            change_high`: AURC less that of the cheap estimator alone, on the same resamples. The maps to probabilities
            are taken as given; choices by chance have no intervals.
        votes: one row per stopping rule, and per number of samples to which all queries are cut alike, with every query
            asked: what `overtop.evaluation.stopping.savings` tells, `recall_at_1` and `aurc`.
        spent: the distribution of samples, of `overtop.evaluation.stopping.spent`, for each stopping rule.
    """

    curve: pd.DataFrame
    votes: pd.DataFrame
    spent: pd.DataFrame


def study(test: Known, val: Known, direction: Direction, plan: Plan) -> Study:
    """Escalate from none to all queries of one direction, under every rule.

    Args:
        test: what is measured.
        val: what the maps to probabilities are fitted on.
        direction: which modality asks.
        plan: which cascades.

    Raises:
        OvertopError: an estimator was not scored, files speak of different queries, or an error is out of range.
    """
    counted, counted_val = (count(known.rankings[direction].sample_top[:, :, 0]) for known in (test, val))
    rules, rules_val = stopped(counted, plan.errors), stopped(counted_val, plan.errors)
    cheap, cheap_val = (scored(known.cheap, direction, plan.cheap_estimator, plan.protocol) for known in (test, val))
    full, full_val = (
        scored(known.expensive, direction, plan.expensive_estimator, plan.protocol).assign(samples=counted.n_samples)
        for known in (test, val)
    )
    whole = join(pair(cheap, full), pair(cheap_val, full_val))
    cascades = {FULL: whole}
    for rule, vote in rules.items():
        asked, asked_val = voted(test, direction, vote), voted(val, direction, rules_val[rule])
        cascades[rule] = join(pair(cheap, asked), pair(cheap_val, asked_val))
    curves = [_curve(cascade, plan).assign(rule=rule) for rule, cascade in cascades.items()]
    curves.append(_curve_by_chance(whole, plan.seed).assign(rule=RANDOM))
    return Study(
        pd.concat(curves, ignore_index=True),
        _votes(test, direction, rules | truncated(counted), counted),
        spent(rules, counted.n_samples),
    )


def scored(scores: pd.DataFrame, direction: str, estimator: str, protocol: str) -> pd.DataFrame:
    """The answers of a posterior and one estimator's uncertainty.

    Returns:
        A row per query, by its id: `image_id`, `hit` (labelled positives), `uncertainty`.

    Raises:
        OvertopError: the scores do not hold that estimator under that protocol.
    """
    there = scores[(scores["direction"] == direction) & (scores["protocol"] == protocol)]
    rows = there[there["estimator"] == estimator]
    if rows.empty:
        raise OvertopError(
            f"no scores of {estimator!r} under protocol {protocol!r}, {direction}; "
            f"{suggestion(estimator, there['estimator'].unique())}"
        )
    return rows.set_index("query_id")[["image_id", "hit", "uncertainty"]]


def voted(known: Known, direction: Direction, vote: Vote) -> pd.DataFrame:
    """The answers of a vote among the expensive posterior's samples, as `scored` gives them, with their `samples`.

    Raises:
        OvertopError: the ranking and the scores speak of different queries.
    """
    ranking = known.rankings[direction]
    winner = np.asarray(ranking.gallery_ids, dtype=object)[vote.winner]
    answers = pd.DataFrame(
        {"winner": winner, "uncertainty": 1 - vote.consistency, "samples": vote.samples}, index=ranking.query_ids
    )
    image = _images(known.expensive, direction)
    if not image.index.isin(answers.index).all():
        raise OvertopError(f"{direction}: scores of queries that the ranking does not hold; score that ranking again")
    answers = answers.loc[image.index]
    if direction == "i2t":  # a caption is right if it was written for the image that asks
        answers["winner"] = answers["winner"].map(_images(known.expensive, "t2i"))
    return answers.assign(image_id=image, hit=answers["winner"] == image).drop(columns="winner")


def _images(scores: pd.DataFrame, direction: str) -> pd.Series:
    """By query the image that it is or was written for."""
    rows = scores[scores["direction"] == direction].drop_duplicates("query_id")
    return rows.set_index("query_id")["image_id"]


def pair(cheap: pd.DataFrame, expensive: pd.DataFrame) -> pd.DataFrame:
    """Both answers to each query that has two.

    Args:
        cheap: as from `scored`.
        expensive: likewise, with `samples`.

    Returns:
        A row per query: `image_id`, `cheap` and `expensive` (uncertainties), `cheap_hit`, `expensive_hit`, `samples`.

    Raises:
        OvertopError: no query has two answers, or an uncertainty is not finite.
    """
    queries = cheap.index.intersection(expensive.index)
    if queries.empty:
        raise OvertopError("the cheap and the expensive scores have no query in common; score the same split with both")
    cheap, expensive = cheap.loc[queries], expensive.loc[queries]
    found = cheap[["image_id"]].assign(samples=expensive["samples"])
    for name, answers in (("cheap", cheap), ("expensive", expensive)):
        found[name], found[f"{name}_hit"] = checked(answers["uncertainty"], answers["hit"])
    return found


@dataclass(frozen=True)
class Cascade:
    """Two answers to each of Q queries, a row for the cheap and a row for the expensive ones.

    Attributes:
        image: (Q,) number of the image that a query belongs to.
        place: (2, Q) int64, of each answer among all 2 Q, the most certain first; equals share it.
        hit: (2, Q) bool.
        samples: (Q,) int64, what the expensive answer takes.
    """

    image: np.ndarray
    place: np.ndarray
    hit: np.ndarray
    samples: np.ndarray

    def steps(self, first: np.ndarray) -> Iterator[Step]:
        """Escalate each of `FRACTIONS` in turn.

        Args:
            first: (Q,) numbers of the queries, those to escalate first in front.
        """
        for fraction in FRACTIONS:
            escalated = np.zeros(len(first), dtype=bool)
            escalated[first[: round(fraction * len(first))]] = True
            uncertainty, hit = (np.where(escalated, both[1], both[0]) for both in (self.place, self.hit))
            samples = CHEAP + (escalated * self.samples).mean()
            yield Step(fraction, samples, Ordering(uncertainty, hit, self.image), hit.mean())


@dataclass(frozen=True)
class Step:
    """A cascade with some of the queries escalated.

    Attributes:
        fraction: of the queries.
        samples: per query, in the mean.
        ordering: of the answers given, clustered by image.
        recall: R@1.
    """

    fraction: float
    samples: float
    ordering: Ordering
    recall: float

    def row(self) -> dict[str, float]:
        """The step's numbers."""
        return {
            "fraction": self.fraction,
            "n_queries": self.ordering.n_queries,
            "samples_per_query": self.samples,
            "recall_at_1": self.recall,
            "aurc": aurc(self.ordering.counts())[0],
        }


def join(test: pd.DataFrame, val: pd.DataFrame) -> Cascade:
    """Bring two posteriors' answers onto one scale.

    Args:
        test: as from `pair`.
        val: the same of the validation split, where the maps to probabilities are fitted.
    """
    both = pd.concat([val, test])
    orders = [_places(both["cheap"]), _places(both["expensive"], both["cheap"])]
    hits = ["cheap_hit", "expensive_hit"]
    fitted = zip(orders, hits, strict=True)
    wrong = [probability_wrong(order[: len(val)], val[hit], order[len(val) :]) for order, hit in fitted]
    side = np.repeat([0, 1], len(test))
    own = [order[len(val) :] for order in orders]
    return Cascade(
        image=pd.factorize(test["image_id"])[0],
        place=_places(np.concatenate(wrong), side, np.concatenate(own)).reshape(2, -1),
        hit=test[hits].to_numpy().T,
        samples=test["samples"].to_numpy(),
    )


def _places(*keys: np.ndarray) -> np.ndarray:
    """Place of each element by the first key, rising, among equals by the second, and so on; equals share it."""
    order = np.lexsort(keys[::-1])
    apart = np.any([np.diff(np.asarray(key)[order]) != 0 for key in keys], axis=0)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.append(0, apart.cumsum())
    return places


def probability_wrong(uncertainty: np.ndarray, hit: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How probable a miss is at some uncertainties: isotonic regression, a step function that never falls.

    Args:
        uncertainty: (V,) of the queries to fit on.
        hit: (V,) bool.
        at: (Q,) uncertainties; each has the value of the largest in `uncertainty` that does not exceed it.

    Raises:
        OvertopError: there is nothing to fit on, or an uncertainty is not finite.
    """
    uncertainty, hit = checked(uncertainty, hit)
    values, group, size = np.unique(uncertainty, return_inverse=True, return_counts=True)
    misses = np.bincount(group, weights=~hit)
    fit = isotonic_regression(misses / size, weights=size).x
    return fit[np.maximum(np.searchsorted(values, at, side="right") - 1, 0)]


def _curve(cascade: Cascade, plan: Plan) -> pd.DataFrame:
    """The most uncertain queries first; equals in an order of chance, lest that of the file speak."""
    shuffle = np.random.default_rng(plan.seed).permutation(len(cascade.image))
    weights = draw_clusters(cascade.image.max() + 1, plan.resamples, plan.seed)
    steps = list(cascade.steps(np.lexsort([shuffle, -cascade.place[0]])))
    areas = np.stack([_resampled(step.ordering, weights) for step in steps])
    curve = pd.DataFrame([step.row() for step in steps])
    curve["change"] = curve["aurc"] - curve["aurc"][0]
    for name, draws in (("aurc", areas), ("change", areas - areas[0])):
        low_high = np.quantile(draws, [(1 - plan.level) / 2, (1 + plan.level) / 2], axis=1)
        curve[f"{name}_low"], curve[f"{name}_high"] = low_high
    return curve


def _resampled(ordering: Ordering, weights: np.ndarray) -> np.ndarray:
    rows = max(1, CHUNK // ordering.n_queries)
    return np.concatenate([aurc(ordering.counts(weights[at : at + rows])) for at in range(0, len(weights), rows)])


def _curve_by_chance(cascade: Cascade, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    choices = [cascade.steps(rng.permutation(len(cascade.image))) for _ in range(SHUFFLES)]
    curve = pd.DataFrame([step.row() for steps in choices for step in steps])
    curve = curve.groupby("fraction", as_index=False).mean().astype({"n_queries": "int64"})
    return curve.assign(change=curve["aurc"] - curve["aurc"][0])


def _votes(known: Known, direction: Direction, votes: Mapping[str, Vote], counted: Count) -> pd.DataFrame:
    """What each rule spends, and what its answers are worth when every query is asked."""
    worth = []
    for rule, vote in votes.items():
        answers = voted(known, direction, vote)
        uncertainty, hit = checked(answers["uncertainty"], answers["hit"])
        worth.append({"rule": rule, "recall_at_1": hit.mean(), "aurc": aurc(Ordering(uncertainty, hit).counts())[0]})
    return savings(votes, counted.first(counted.n_samples)).merge(pd.DataFrame(worth), on="rule")
