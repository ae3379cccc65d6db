"""Query performance predictors: statistics of the best similarities of a query, from the literature on text retrieval.

Each predictor reads the k best similarities; a larger value predicts a better result. Items of one group (captions of
one image) do not compete: a group counts once, with its best item.

The literature divides NQC and SMV by the score of the whole collection, subtracts that score in WIG, and divides WIG by
the root of the number of query terms. A ranking does not contain the mean similarity to the gallery, and a query
embedding has no terms, so these terms are left out; a term that is equal for all queries would not change their order.
"""

from collections.abc import Callable

import numpy as np

from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.retrieval.ranking import MAX_RIVALS, Ranking
from overtop.terms import VOTE_TOP, Protocol

SMALLEST_SCORE = 1e-3
"""Similarities below this count as this in logarithms, which need positive scores; those of CLIP are above 0.1."""

PREDICTOR_ITEMS = (5, 50)
"""The values of k of the predictors: the neighbourhood of the top-1, and what the literature calls small."""


def margin_topk(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the difference between s_1 and the mean of the best four rivals, (Q,); 0 without any rival."""
    scores = best_group_scores(inputs.ranking, 1 + MAX_RIVALS)
    rivals = scores[:, 1:]
    count = np.isfinite(rivals).sum(axis=1)
    mean = np.nansum(rivals, axis=1) / np.maximum(count, 1)
    return np.where(count > 0, 1.0 - (scores[:, 0] - mean), 0.0)


def nqc(scores: np.ndarray) -> np.ndarray:
    """Normalized query commitment: the standard deviation of the best k scores (Shtok et al. 2012), (Q,)."""
    return np.nanstd(scores, axis=1)


def wig(scores: np.ndarray) -> np.ndarray:
    """Weighted information gain: the mean of the best k scores (Zhou and Croft 2007), (Q,)."""
    return np.nanmean(scores, axis=1)


def smv(scores: np.ndarray) -> np.ndarray:
    """Score magnitude and variance: the mean of s |ln(s / mean s)| over the best k scores (Tao and Wu 2014), (Q,)."""
    positive = np.maximum(scores, SMALLEST_SCORE)
    return np.nanmean(positive * np.abs(np.log(positive / np.nanmean(positive, axis=1, keepdims=True))), axis=1)


def lsmv(scores: np.ndarray) -> np.ndarray:
    """The standard deviation of ln s over the best k scores, (Q,): the variance without the magnitude of the scores.

    The name is in use, but no publication that defines it was found; this definition is ours.
    """
    return np.nanstd(np.log(np.maximum(scores, SMALLEST_SCORE)), axis=1)


def gap(scores: np.ndarray) -> np.ndarray:
    """The difference between the best and the k-th score, (Q,); for k = 2 this is the margin."""
    return scores[:, 0] - np.nanmin(scores, axis=1)


def at(k: int, predictor: Callable[[np.ndarray], np.ndarray]) -> Callable[[EstimatorInputs, Protocol], np.ndarray]:
    """The estimator that applies a predictor to the k best scores; its uncertainty is the negative prediction, (Q,)."""

    def estimator(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
        return -predictor(best_group_scores(inputs.ranking, k))

    return estimator


def best_group_scores(ranking: Ranking, k: int) -> np.ndarray:
    """The similarity of the best item of each of the k best groups, best first.

    Args:
        ranking: Q queries and K items each. A gallery of fewer than k groups is used whole.
        k: number of groups; where no two items belong together, of items.

    Returns:
        (Q, k) float64; NaN in the last columns where the K items belong to fewer groups, which is possible only for k
        above `VOTE_TOP` or after an approximate search.

    Raises:
        OvertopError: the ranking was computed with a `top` below k.
    """
    if ranking.top_ids.shape[1] < min(k, len(ranking.gallery_ids)):
        raise OvertopError(
            f"margin_topk and query performance predictors need a ranking that contains {k} items per query; rank "
            f"again with top {k} or more"
        )
    scores = ranking.top_scores.astype(np.float64)
    if k <= VOTE_TOP:
        best = np.column_stack([scores[:, 0], ranking.rival_scores[:, : k - 1]])
        return np.where(np.isfinite(best), best, np.nan)
    repeated = ~_is_first_of_group(ranking.item_groups[ranking.top_ids])
    scores = np.where(repeated, np.nan, scores)
    return np.take_along_axis(scores, np.argsort(repeated, axis=1, kind="stable"), axis=1)[:, :k]


def _is_first_of_group(groups: np.ndarray) -> np.ndarray:
    """Which entries are the first of their value in their row, (Q, K) bool."""
    order = np.argsort(groups, axis=1, kind="stable")
    ascending = np.take_along_axis(groups, order, axis=1)
    differs = np.ones(groups.shape, dtype=bool)
    differs[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    is_first = np.empty_like(differs)
    np.put_along_axis(is_first, order, differs, axis=1)
    return is_first
