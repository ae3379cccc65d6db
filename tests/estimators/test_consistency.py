from dataclasses import replace

import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.retrieval.ranking import Ranking


def make_ranking(top_ids, sample_top, gallery, groups=None):
    names = [str(i) for i in range(gallery)]
    scores = np.zeros(np.shape(top_ids), np.float32)
    return Ranking(names[:1] * len(top_ids), names, np.array(top_ids), scores, np.array(sample_top), groups=groups)


def random_ranking(seed, queries, samples, gallery, k, groups=None):
    """A ranking with many equal vote counts; with groups, items of random ones of that many groups."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(queries, samples, gallery)) + rng.normal(size=(queries, 1, gallery))
    sample_order = np.argsort(-scores, axis=2)
    item_groups = None if groups is None else rng.integers(0, groups, gallery).astype(np.int32)
    top_ids = np.argsort(-scores.mean(axis=1), axis=1)
    return make_ranking(top_ids, sample_order[:, :, :k].astype(np.int32), gallery, item_groups)


def as_released(confidence):
    return np.float32(confidence).astype(np.float64)


CASES = [
    (0, 200, 8, 30, 5),
    (1, 100, 2, 8, 5),
    (2, 50, 50, 200, 5),
    (3, 40, 3, 5, 5),
    (4, 30, 4, 3, 3),
    (5, 5, 3, 1, 1),
]
"""Arguments of `random_ranking`: seed, queries, samples, gallery, k."""


@pytest.mark.parametrize("groups", [None, 1, 3, 12])
@pytest.mark.parametrize("case", CASES)
def test_top1_consistency_equals_the_oracle(case, groups):
    ranking = random_ranking(*case, groups)
    group = ranking.item_groups.tolist()
    sample_top1 = ranking.sample_top[:, :, 0].tolist()
    published = [oracles.mode_share(row) for row in sample_top1]
    corrected = [
        sum(group[vote] == group[best] for vote in row) / len(row)
        for row, best in zip(sample_top1, ranking.top_ids[:, 0].tolist(), strict=True)
    ]
    inputs = EstimatorInputs(ranking)
    for protocol, expected in (("published", as_released(published)), ("corrected", np.array(corrected))):
        np.testing.assert_array_equal(compute_uncertainty("top1_consistency", inputs, protocol), 1 - expected)


@pytest.mark.parametrize("groups", [None, 1, 3, 12])
@pytest.mark.parametrize("case", CASES)
def test_topk_consistency_equals_exact_sums(case, groups):
    ranking, k = random_ranking(*case, groups), case[-1]
    group = ranking.item_groups.tolist()
    sample_top = ranking.sample_top.tolist()
    published = [oracles.jaccard_with_most_voted(rows, k) for rows in sample_top]
    corrected = [
        oracles.mean_jaccard([[group[item] for item in row] for row in rows], [group[item] for item in best])
        for rows, best in zip(sample_top, ranking.top_ids[:, :k].tolist(), strict=True)
    ]
    inputs = EstimatorInputs(ranking)
    for protocol, expected in (("published", as_released(published)), ("corrected", np.array(corrected))):
        np.testing.assert_array_equal(compute_uncertainty("topk_consistency", inputs, protocol), 1 - expected)


def test_topk_consistency_does_not_depend_on_the_order_of_samples():
    ranking = random_ranking(6, 300, 11, 20, 5)
    expected = compute_uncertainty("topk_consistency", EstimatorInputs(ranking), "corrected")
    assert len(np.unique(expected)) > 30
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(ranking.n_samples)
        shuffled = replace(ranking, sample_top=ranking.sample_top[:, order])
        uncertainty = compute_uncertainty("topk_consistency", EstimatorInputs(shuffled), "corrected")
        np.testing.assert_array_equal(uncertainty, expected)


def test_votes_for_items_of_one_group_agree_under_corrected_only():
    # The returned item 0 and item 1 are captions of one image.
    inputs = EstimatorInputs(make_ranking([[0, 1]], [[[0], [1], [3], [1]]], 4, groups=np.array([0, 0, 2, 3])))
    assert compute_uncertainty("top1_consistency", inputs, "published") == 0.5
    assert compute_uncertainty("top1_consistency", inputs, "corrected") == 0.25


def test_topk_consistency_counts_a_group_as_often_as_the_best_items_contain_it():
    # Items 0 to 3 are captions of one image, of which the reference has three and the samples four.
    samples = [[[3, 2, 1, 0, 4], [0, 1, 2, 3, 4]]]
    inputs = EstimatorInputs(make_ranking([[0, 1, 2, 4, 5]], samples, 6, groups=np.array([0, 0, 0, 0, 4, 5])))
    assert compute_uncertainty("topk_consistency", inputs, "corrected") == pytest.approx(1 - 4 / 6)


def test_top1_consistency_refers_to_the_most_voted_item_or_the_returned_item():
    inputs = EstimatorInputs(make_ranking([[0, 1]], [[[1], [1], [0], [1]]], gallery=2))
    assert compute_uncertainty("top1_consistency", inputs, "published") == 0.25
    assert compute_uncertainty("top1_consistency", inputs, "corrected") == 0.75


def test_topk_consistency_with_equal_votes_prefers_the_first_occurrence():
    # Ten items with one vote each: the reference is the first sample's top 5, whatever the indices.
    inputs = EstimatorInputs(make_ranking([[0] * 5], [[[9, 8, 7, 6, 5], [0, 1, 2, 3, 4]]], gallery=10))
    uncertainty = compute_uncertainty("topk_consistency", inputs, "published")
    assert uncertainty == 1 - (1 + 0) / 2
    # Item 0 has two votes and comes first; the last item of the first sample is no longer in the reference.
    sample_top = [[[9, 8, 7, 6, 5], [0, 1, 2, 3, 4], [0, 11, 12, 13, 14]]]
    inputs = EstimatorInputs(make_ranking([[0] * 5], sample_top, gallery=15))
    uncertainty = compute_uncertainty("topk_consistency", inputs, "published")
    assert uncertainty == 1 - as_released((4 / 6 + 1 / 9 + 1 / 9) / 3)


@pytest.mark.parametrize(("top", "vote_top"), [(4, 5), (9, 3)])
def test_topk_consistency_of_a_too_short_ranking_is_refused(top, vote_top):
    ranking = make_ranking(np.tile(np.arange(top), (2, 1)), np.tile(np.arange(vote_top), (2, 3, 1)), gallery=9)
    with pytest.raises(OvertopError, match="contains 5 items .*rank again with top and vote_top 5"):
        compute_uncertainty("topk_consistency", EstimatorInputs(ranking), "corrected")
