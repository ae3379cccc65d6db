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


def grouped_inputs(scores, groups):
    ranking = make_ranking(scores)
    return EstimatorInputs(replace(ranking, groups=None if groups is None else np.asarray(groups, dtype=np.int32)))


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("k", [5, 50])
@pytest.mark.parametrize("predictor", ["nqc", "wig", "smv", "lsmv", "gap"])
@pytest.mark.parametrize("case", SCORE_CASES)
def test_predictors_equal_their_definitions_on_the_best_item_of_each_group(case, predictor, k, grouped):
    scores = SCORE_CASES[case]
    size = scores.shape[1]
    groups = np.arange(size) // 3 if grouped else np.arange(size)
    inputs = grouped_inputs(scores, groups if grouped else None)
    uncertainty = compute_uncertainty(f"{predictor}_{k}", inputs, "corrected")
    expected = [-plain_confidence(predictor, group_bests(row, groups, k)) for row in scores]
    np.testing.assert_allclose(uncertainty, expected, atol=1e-12)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("case", SCORE_CASES)
def test_margin_topk_is_the_margin_to_the_mean_of_the_best_four_rivals(case, grouped):
    scores = SCORE_CASES[case]
    size = scores.shape[1]
    groups = np.arange(size) // 3 if grouped else np.arange(size)
    inputs = grouped_inputs(scores, groups if grouped else None)
    for uncertainty, row in zip(compute_uncertainty("margin_topk", inputs, "corrected"), scores, strict=True):
        first, *rivals = group_bests(row, groups, 5)
        expected = 1 - (first - np.mean(rivals)) if rivals else 0.0
        assert uncertainty == pytest.approx(expected, abs=1e-12)


def test_groups_beyond_the_items_of_the_ranking_are_missing():
    ranking = make_ranking([[0.9, 0.8, 0.7, 0.6, 0.1], [0.1, 0.2, 0.3, 0.4, 0.5]])
    ranking = replace(ranking, groups=np.array([0, 0, 0, 1, 2], dtype=np.int32))
    ranking = replace(ranking, top_ids=ranking.top_ids[:, :3], top_scores=ranking.top_scores[:, :3])
    np.testing.assert_array_equal(best_group_scores(ranking, 3), [[0.9, np.nan, np.nan], [0.5, 0.4, 0.3]])
    uncertainty = compute_uncertainty(
        "margin_topk", EstimatorInputs(replace(ranking, gallery_ids=list("abc"))), "corrected"
    )
    np.testing.assert_allclose(uncertainty, [0.0, 1 - (0.5 - 0.35)])


def test_ranking_with_too_few_items_is_refused_with_the_fix():
    ranking = make_ranking(np.random.default_rng(0).random((2, 60)))
    ranking = replace(ranking, top_ids=ranking.top_ids[:, :20], top_scores=ranking.top_scores[:, :20])
    assert compute_uncertainty("nqc_5", EstimatorInputs(ranking), "corrected").shape == (2,)
    with pytest.raises(OvertopError, match="at 50 need a ranking that contains 50 items.*rank again with top 50"):
        compute_uncertainty("nqc_50", EstimatorInputs(ranking), "corrected")


def test_predictors_are_refused_under_the_published_protocol():
    with pytest.raises(OvertopError, match="wig_5 is not defined under 'published'; use corrected"):
        compute_uncertainty("wig_5", EstimatorInputs(make_ranking(SCORE_CASES["ties"])), "published")
