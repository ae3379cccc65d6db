from dataclasses import replace

import numpy as np
import pytest

from helpers.rankings import SCORE_CASES, make_ranking
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.qpp import SMALLEST_SCORE, best_group_scores
from overtop.estimators.scoring import compute_uncertainty


def group_bests(scores, groups, k):
    """The largest score of each of the k best groups of one query, by a plain loop."""
    best = {}
    for score, group in zip(scores, groups, strict=True):
        best[group] = max(score, best.get(group, -np.inf))
    return sorted(best.values(), reverse=True)[:k]


def plain_confidence(predictor, scores):
    """A predictor by its definition, for the k best scores of one query."""
    k, mean = len(scores), sum(scores) / len(scores)
    logs = [np.log(max(s, SMALLEST_SCORE)) for s in scores]
    positive = [max(s, SMALLEST_SCORE) for s in scores]
    log_mean = np.log(sum(positive) / k)
    return {
        "nqc": (sum((s - mean) ** 2 for s in scores) / k) ** 0.5,
        "wig": mean,
        "smv": sum(s * abs(log - log_mean) for s, log in zip(positive, logs, strict=True)) / k,
        "lsmv": (sum((log - sum(logs) / k) ** 2 for log in logs) / k) ** 0.5,
        "gap": scores[0] - scores[-1],
    }[predictor]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("k", [5, 50])
@pytest.mark.parametrize("predictor", ["nqc", "wig", "smv", "lsmv", "gap"])
@pytest.mark.parametrize("case", SCORE_CASES)
def test_predictors_equal_their_definitions_on_the_best_item_of_each_group(case, predictor, k, grouped):
    scores = SCORE_CASES[case]
    size = scores.shape[1]
    groups = np.arange(size) // 3 if grouped else np.arange(size)
    inputs = EstimatorInputs(make_ranking(scores, groups=groups))
    uncertainty = compute_uncertainty(f"{predictor}_{k}", inputs, "corrected")
    expected = [-plain_confidence(predictor, group_bests(row, groups, k)) for row in scores]
    np.testing.assert_allclose(uncertainty, expected, atol=1e-12)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("case", SCORE_CASES)
def test_margin_topk_is_the_margin_to_the_mean_of_the_best_four_rivals(case, grouped):
    scores = SCORE_CASES[case]
    size = scores.shape[1]
    groups = np.arange(size) // 3 if grouped else np.arange(size)
    inputs = EstimatorInputs(make_ranking(scores, groups=groups))
    for uncertainty, row in zip(compute_uncertainty("margin_topk", inputs, "corrected"), scores, strict=True):
        first, *rivals = group_bests(row, groups, 5)
        expected = 1 - (first - np.mean(rivals)) if rivals else 0.0
        assert uncertainty == pytest.approx(expected, abs=1e-12)


def test_groups_beyond_the_items_of_the_ranking_are_missing():
    scores = np.linspace(0.9, 0.1, 12)
    ranking = make_ranking([scores, scores[::-1]], groups=[*range(9), 9, 9, 9])
    ranking = replace(ranking, top_ids=ranking.top_ids[:, :8], top_scores=ranking.top_scores[:, :8])
    ranking = replace(ranking, gallery_ids=ranking.gallery_ids[:8])
    best = best_group_scores(ranking, 50)
    np.testing.assert_array_equal(np.isnan(best).sum(axis=1), [0, 2])
    np.testing.assert_allclose(best[1, :6], ranking.top_scores[1, [0, 3, 4, 5, 6, 7]])
    uncertainty = compute_uncertainty("gap_50", EstimatorInputs(ranking), "corrected")
    np.testing.assert_allclose(uncertainty, ranking.top_scores[:, 7] - ranking.top_scores[:, 0])


def test_rivals_that_a_search_did_not_find_are_left_out():
    ranking = make_ranking([[0.9, 0.8, 0.6, 0.3, 0.2], [0.9, 0.8, 0.6, 0.3, 0.2]])
    rivals = ranking.rival_scores.copy()
    rivals[0, 2:] = -np.inf
    rivals[1] = -np.inf
    inputs = EstimatorInputs(replace(ranking, rival_scores=rivals))
    np.testing.assert_allclose(compute_uncertainty("margin_topk", inputs, "corrected"), [1 - (0.9 - 0.7), 0.0])


def test_ranking_with_too_few_items_is_refused_with_the_fix():
    ranking = make_ranking(np.random.default_rng(0).random((2, 60)))
    ranking = replace(ranking, top_ids=ranking.top_ids[:, :20], top_scores=ranking.top_scores[:, :20])
    assert compute_uncertainty("nqc_5", EstimatorInputs(ranking), "corrected").shape == (2,)
    with pytest.raises(OvertopError, match="need a ranking that contains 50 items.*rank again with top 50"):
        compute_uncertainty("nqc_50", EstimatorInputs(ranking), "corrected")


def test_predictors_are_refused_under_the_published_protocol():
    with pytest.raises(OvertopError, match="wig_5 exists only under protocol 'corrected'"):
        compute_uncertainty("wig_5", EstimatorInputs(make_ranking(SCORE_CASES["ties"])), "published")
