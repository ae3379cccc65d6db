"""Answers of a cheap and an expensive posterior to the same queries, ordered by the probability that they are wrong.

Uncertainties of two posteriors are on different scales. Each is mapped to the probability that its answer is wrong, by
isotonic regression on the validation split. Among equal probabilities the cheap answers come first, and each posterior
keeps its own order. Vote shares of the expensive posterior are often equal; the cheap uncertainty breaks these ties.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from overtop.errors import OvertopError, did_you_mean
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.voting import VoteResult
from overtop.retrieval.ranking import Ranking
from overtop.terms import Direction


@dataclass(frozen=True)
class CascadeInputs:
    """Results of both posteriors on one split.

    Attributes:
        cheap: score table of the cheap posterior (`estimators.scoring`).
        expensive: score table of the expensive posterior, with both directions.
        rankings: of the expensive posterior, by direction.
    """

    cheap: pd.DataFrame
    expensive: pd.DataFrame
    rankings: Mapping[Direction, Ranking]


def estimator_answers(scores: pd.DataFrame, direction: str, estimator: str, protocol: str) -> pd.DataFrame:
    """Return a posterior's answers with the uncertainty of one estimator.

    Returns:
        One row per query, with its id as index: `image_id`, `hit` (labelled positives), `uncertainty`.

    Raises:
        OvertopError: the scores do not contain that estimator under that protocol.
    """
    candidates = scores[(scores["direction"] == direction) & (scores["protocol"] == protocol)]
    rows = candidates[candidates["estimator"] == estimator]
    if rows.empty:
        raise OvertopError(
            f"no scores of {estimator!r} under protocol {protocol!r}, {direction}; "
            f"{did_you_mean(estimator, candidates['estimator'].unique())}"
        )
    return rows.set_index("query_id")[["image_id", "hit", "uncertainty"]]


def vote_answers(inputs: CascadeInputs, direction: Direction, vote: VoteResult) -> pd.DataFrame:
    """Return the winners of a vote among the expensive posterior's samples as answers.

    The uncertainty is one minus the winner's share of the votes, because the mean similarity needs all samples.

    Returns:
        Columns of `estimator_answers`, and `samples`, the number that voted.

    Raises:
        OvertopError: the scores contain queries that the ranking does not.
    """
    ranking = inputs.rankings[direction]
    winner = np.asarray(ranking.gallery_ids, dtype=object)[vote.winner]
    answers = pd.DataFrame(
        {"winner": winner, "uncertainty": 1 - vote.consistency, "samples": vote.n_samples}, index=ranking.query_ids
    )
    image = _image_of_query(inputs.expensive, direction)
    if not image.index.isin(answers.index).all():
        raise OvertopError(
            f"{direction}: the scores contain queries that are not in the ranking; score that ranking again"
        )
    answers = answers.loc[image.index]
    if direction == "i2t":  # a caption is a hit if it belongs to the image of the query
        answers["winner"] = answers["winner"].map(_image_of_query(inputs.expensive, "t2i"))
    return answers.assign(image_id=image, hit=answers["winner"] == image).drop(columns="winner")


def _image_of_query(scores: pd.DataFrame, direction: str) -> pd.Series:
    """The image id of each query, by query id."""
    rows = scores[scores["direction"] == direction].drop_duplicates("query_id")
    return rows.set_index("query_id")["image_id"]


def pair_answers(cheap: pd.DataFrame, expensive: pd.DataFrame) -> pd.DataFrame:
    """Join two answers to each query that has both.

    Args:
        cheap: from `estimator_answers`.
        expensive: from `vote_answers`, or from `estimator_answers` with an added column `samples`.

    Returns:
        One row per query: `image_id`, `cheap` and `expensive` (uncertainties), `cheap_hit`, `expensive_hit`, `samples`.

    Raises:
        OvertopError: no query has both answers, or an uncertainty is not finite.
    """
    queries = cheap.index.intersection(expensive.index)
    if queries.empty:
        raise OvertopError("the cheap and the expensive scores have no query in common; score the same split with both")
    cheap, expensive = cheap.loc[queries], expensive.loc[queries]
    pairs = cheap[["image_id"]].assign(samples=expensive["samples"])
    for name, answers in (("cheap", cheap), ("expensive", expensive)):
        pairs[name], pairs[f"{name}_hit"] = validate_scores(answers["uncertainty"], answers["hit"])
    return pairs


@dataclass(frozen=True)
class RankedAnswers:
    """Two answers to each of Q queries; row 0 has the cheap answers and row 1 the expensive ones.

    Attributes:
        image: (Q,) number of the image that a query belongs to.
        rank: (2, Q) int64, rank of each answer among all 2 Q, the most certain first; ties share a rank.
        hit: (2, Q) bool.
        samples: (Q,) int64, samples of the expensive answer.
    """

    image: np.ndarray
    rank: np.ndarray
    hit: np.ndarray
    samples: np.ndarray


def rank_answers(test: pd.DataFrame, val: pd.DataFrame) -> RankedAnswers:
    """Rank the answers of both posteriors on one scale, the probability that they are wrong.

    Args:
        test: from `pair_answers`.
        val: from `pair_answers` on the validation split, where the probabilities are fitted.
    """
    both = pd.concat([val, test])
    own_ranks = [dense_ranks(both["cheap"]), dense_ranks(both["expensive"], both["cheap"])]
    hits = ["cheap_hit", "expensive_hit"]
    wrong = [
        error_probability(ranks[: len(val)], val[hit], ranks[len(val) :])
        for ranks, hit in zip(own_ranks, hits, strict=True)
    ]
    side = np.repeat([0, 1], len(test))
    test_ranks = np.concatenate([ranks[len(val) :] for ranks in own_ranks])
    return RankedAnswers(
        image=pd.factorize(test["image_id"])[0],
        rank=dense_ranks(np.concatenate(wrong), side, test_ranks).reshape(2, -1),
        hit=test[hits].to_numpy().T,
        samples=test["samples"].to_numpy(),
    )


def dense_ranks(*keys: np.ndarray) -> np.ndarray:
    """Rank elements from 0 by the first key ascending, ties by the next key; equal elements share a rank."""
    order = np.lexsort(keys[::-1])
    differs = np.any([np.diff(np.asarray(key)[order]) != 0 for key in keys], axis=0)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.append(0, differs.cumsum())
    return ranks


def error_probability(uncertainty: np.ndarray, hit: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Fit the probability of a miss by isotonic regression on uncertainty, and evaluate the step function.

    Args:
        uncertainty: (V,) of the queries to fit on.
        hit: (V,) bool.
        at: (Q,) uncertainties; each has the value of the largest in `uncertainty` that does not exceed it, or else of
            the smallest.

    Returns:
        (Q,) probabilities, which do not fall with `at`.

    Raises:
        OvertopError: there are no queries to fit on, or an uncertainty is not finite.
    """
    uncertainty, hit = validate_scores(uncertainty, hit)
    values, group, size = np.unique(uncertainty, return_inverse=True, return_counts=True)
    misses = np.bincount(group, weights=~hit)
    fit = isotonic_regression(misses / size, weights=size).x
    return fit[np.maximum(np.searchsorted(values, at, side="right") - 1, 0)]
