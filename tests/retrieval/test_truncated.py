"""Softmax sums over the items that were found, against whole rows in float64, and the bounds on the rest."""

import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval.truncated import (
    entropy_interval,
    probability_interval,
    truncated_normalised,
    truncated_softmax,
)

TEMPERATURES = (0.005, 0.01, 0.07, 1.0)
TOLERANCE = 1e-12


def sorted_scores(n_queries=30, n_items=200, spread=0.03, seed=0):
    scores = np.random.default_rng(seed).normal(0.2, spread, (n_queries, n_items))
    return -np.sort(-scores, axis=1)


def random_groups(shape, n_groups, seed=1):
    return np.random.default_rng(seed).integers(0, n_groups, shape)


def group_softmax(scores, groups, temperature):
    """Minus the log of the probability of the first item's group, and the entropy, of every query."""
    rows = zip(scores, groups, strict=True)
    return np.array([oracles.group_softmax(row, of_row, temperature, read_at=0) for row, of_row in rows]).T


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_sums_of_all_items_are_exact_and_their_bound_is_zero(temperature):
    scores = sorted_scores()
    groups = random_groups(scores.shape, 40)
    items = truncated_softmax(scores, scores.shape[1], temperature)
    log_partition, mean_gap = (values[:, 0] for values in oracles.softmax_sums(scores, (temperature,)))
    for values in (items.log_partition, items.neg_log_probability):
        np.testing.assert_allclose(values, log_partition, rtol=TOLERANCE)
    np.testing.assert_allclose(items.mean_gap, mean_gap, rtol=TOLERANCE)
    np.testing.assert_allclose(items.entropy, log_partition + mean_gap / temperature, rtol=TOLERANCE)
    of_groups = truncated_softmax(scores, scores.shape[1], temperature, groups)
    neg_log_probability, entropy = group_softmax(scores, groups, temperature)
    np.testing.assert_allclose(of_groups.neg_log_probability, neg_log_probability, rtol=TOLERANCE)
    np.testing.assert_allclose(of_groups.entropy, entropy, rtol=TOLERANCE)
    np.testing.assert_array_equal(of_groups.log_partition, items.log_partition)
    for bound in (items.bound, of_groups.bound):
        np.testing.assert_array_equal(bound, 0.0)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n_found", [1, 2, 20, 199])
def test_whole_gallery_is_within_the_bounds(n_found, temperature):
    scores = sorted_scores(seed=n_found)
    groups = random_groups(scores.shape, 30)
    softmax = truncated_softmax(scores[:, :n_found], scores.shape[1], temperature, groups[:, :n_found])
    log_partition = oracles.softmax_sums(scores, (temperature,))[0][:, 0]
    growth = log_partition - softmax.log_partition
    assert (growth >= -TOLERANCE).all()
    assert (growth <= softmax.bound + TOLERANCE).all()
    neg_log_probability, entropy = group_softmax(scores, groups, temperature)
    assert (neg_log_probability <= softmax.neg_log_probability + softmax.bound + TOLERANCE).all()
    low, high = probability_interval(softmax.neg_log_probability, softmax.bound)
    assert (low <= np.exp(-neg_log_probability) + TOLERANCE).all()
    assert (np.exp(-neg_log_probability) <= high + TOLERANCE).all()
    low, high = entropy_interval(softmax.entropy, softmax.bound, scores.shape[1] - n_found)
    assert (low <= entropy + TOLERANCE).all()
    assert (entropy <= high + TOLERANCE).all()


@pytest.mark.parametrize("temperature", [0.01, 0.07])
def test_bounds_are_attained_where_all_other_items_are_as_similar_as_the_last(temperature):
    found = sorted_scores(n_items=15)
    whole = np.concatenate([found, np.repeat(found[:, -1:], 500, axis=1)], axis=1)
    groups = random_groups(found.shape, 4)
    softmax = truncated_softmax(found, whole.shape[1], temperature, groups)
    log_partition = oracles.softmax_sums(whole, (temperature,))[0][:, 0]
    np.testing.assert_allclose(softmax.log_partition + softmax.bound, log_partition, rtol=TOLERANCE)
    low, high = probability_interval(softmax.neg_log_probability, softmax.bound)
    rivals, own = (
        np.concatenate([groups, np.repeat(added, 500, axis=1)], axis=1)
        for added in (np.full((len(found), 1), 9), groups[:, :1])
    )
    np.testing.assert_allclose(low, np.exp(-group_softmax(whole, rivals, temperature)[0]), rtol=TOLERANCE)
    np.testing.assert_allclose(high, np.exp(-group_softmax(whole, own, temperature)[0]), rtol=TOLERANCE)


def test_entropy_bound_is_attained_where_all_other_items_are_groups_as_similar_as_the_last():
    found = sorted_scores(n_items=15)
    whole = np.concatenate([found, np.repeat(found[:, -1:], 500, axis=1)], axis=1)
    softmax = truncated_softmax(found, whole.shape[1], 0.01)
    share = -np.expm1(-softmax.bound)
    is_largest_at_the_end = share < 500 / (500 + np.exp(softmax.entropy))
    assert is_largest_at_the_end.any()
    expected = group_softmax(whole, np.broadcast_to(np.arange(whole.shape[1]), whole.shape), 0.01)[1]
    high = entropy_interval(softmax.entropy, softmax.bound, 500)[1]
    np.testing.assert_allclose(high[is_largest_at_the_end], expected[is_largest_at_the_end], rtol=TOLERANCE)


def test_probability_of_a_complete_group_is_never_too_small():
    softmax = truncated_softmax(sorted_scores()[:, :10], 200, 0.01)
    low, high = probability_interval(softmax.neg_log_probability, softmax.bound, is_complete=True)
    np.testing.assert_array_equal(high, np.exp(-softmax.neg_log_probability))
    assert (low < high).all()


def test_tiny_probabilities_of_rivals_keep_their_digits():
    scores = np.array([[0.9, 0.1, 0.05, 0.05]])
    for groups in (None, np.array([[0, 1, 2, 0]])):
        softmax = truncated_softmax(scores, 5, 0.01, groups)
        np.testing.assert_allclose(softmax.neg_log_probability, np.exp(-80), rtol=0.02)
        np.testing.assert_allclose(softmax.bound, np.exp(-85), rtol=1e-6)
        np.testing.assert_allclose(softmax.entropy, 81 * np.exp(-80), rtol=0.02)


def test_unknown_size_of_the_gallery_has_no_bound():
    softmax = truncated_softmax(sorted_scores()[:, :10], None, 0.01)
    assert np.isnan(softmax.bound).all()
    assert np.isfinite(softmax.neg_log_probability).all()
    assert np.isnan(probability_interval(softmax.neg_log_probability, softmax.bound)[0]).all()


def test_row_that_ends_early_equals_the_shorter_row():
    scores = sorted_scores(n_items=6)
    scores[:, 4:] = -np.inf
    for groups in (None, random_groups(scores.shape, 3)):
        long = truncated_softmax(scores, 50, 0.01, groups)
        short = truncated_softmax(scores[:, :4], 50, 0.01, None if groups is None else groups[:, :4])
        for values, expected in zip(long, short, strict=True):
            np.testing.assert_allclose(values, expected, rtol=TOLERANCE)


def test_gallery_of_one_item_is_certain():
    for groups in (None, np.zeros((2, 1), dtype=int)):
        softmax = truncated_softmax(np.array([[0.3], [-0.2]]), 1, 0.01, groups)
        np.testing.assert_array_equal(np.stack(softmax), 0.0)


def test_more_items_than_the_gallery_has_is_an_error():
    with pytest.raises(OvertopError, match="6 items were found in a gallery of 5; correct"):
        truncated_softmax(sorted_scores(n_items=6), 5, 0.01)


def normalised_case(n_queries=20, n_items=120, n_found=15, seed=3):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.2, 0.03, (n_queries, n_items))
    ids = np.argsort(-scores, axis=1)[:, :n_found]
    return scores, ids, np.take_along_axis(scores, ids, axis=1), rng.normal(0.15, 0.02, n_items)


@pytest.mark.parametrize("temperature", [0.0002, 0.01, 0.07])
@pytest.mark.parametrize("n_groups", [None, 30])
@pytest.mark.parametrize("n_found", [1, 15, 120])
def test_normalised_probability_of_the_gallery_is_within_the_bounds(n_found, n_groups, temperature):
    scores, ids, found, offsets = normalised_case(n_found=n_found)
    groups = np.arange(120) if n_groups is None else np.arange(120) % n_groups
    neg_log_probability, bound = truncated_normalised(ids, found, offsets, temperature, groups[ids])
    normalised = (scores - offsets) / temperature
    whole = [
        np.logaddexp.reduce(row) - np.logaddexp.reduce(row[groups == groups[top]])
        for row, top in zip(normalised, ids[:, 0], strict=True)
    ]
    if n_found == 120:
        np.testing.assert_allclose(neg_log_probability, whole, rtol=1e-9, atol=TOLERANCE)
        np.testing.assert_array_equal(bound, 0.0)
    assert (whole <= neg_log_probability + bound + 1e-9).all()
    low, high = probability_interval(neg_log_probability, bound)
    assert (low <= np.exp(-np.array(whole)) + 1e-9).all()
    assert (np.exp(-np.array(whole)) <= high + 1e-9).all()


def test_normalised_bound_is_attained_where_all_other_items_are_as_similar_as_the_last():
    scores, ids, found, offsets = normalised_case()
    neg_log_probability, bound = truncated_normalised(ids, found, offsets, 0.01)
    scores = np.where(scores < found[:, -1:], found[:, -1:], scores)
    normalised = (scores - offsets) / 0.01
    top = np.take_along_axis(normalised, ids[:, :1], axis=1)[:, 0]
    expected = np.logaddexp.reduce(normalised, axis=1) - top
    np.testing.assert_allclose(neg_log_probability + bound, expected, rtol=1e-9)


def test_normalised_probability_without_offsets_is_that_of_the_softmax():
    _, ids, found, _ = normalised_case()
    neg_log_probability, bound = truncated_normalised(ids, found, np.full(120, 0.1), 0.01)
    expected = truncated_softmax(found, 120, 0.01)
    np.testing.assert_allclose(neg_log_probability, expected.neg_log_probability, rtol=1e-9)
    np.testing.assert_allclose(bound, expected.bound, rtol=1e-9)
