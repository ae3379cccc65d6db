import numpy as np
import pytest

from overtop.evaluation.significance import adjust_holm, bootstrap_p_value, symmetric_interval


def test_interval_contains_the_smallest_distances_that_exceed_the_level():
    # Distances 1, ..., 99 of 99 draws: the 0.9 quantile is the 91st of the 100 distances with an infinite one added.
    assert symmetric_interval(0.0, np.arange(1.0, 100), 0.9).tolist() == [-91, 91]
    assert symmetric_interval(5.0, 5 - np.arange(1.0, 100), 0.9).tolist() == [-86, 96]
    assert symmetric_interval(0.0, np.arange(1.0, 100), 0.9, bounds=(-100, 7)).tolist() == [-91, 7]


def test_interval_of_many_values_is_along_the_last_axis():
    rng = np.random.default_rng(0)
    values, draws = rng.random(3), rng.random((3, 50))
    expected = np.transpose([symmetric_interval(value, row, 0.9) for value, row in zip(values, draws, strict=True)])
    np.testing.assert_array_equal(symmetric_interval(values, draws, 0.9), expected)


def test_interval_of_degenerate_draws_contains_the_value():
    same = np.full(100, 0.3)
    assert symmetric_interval(0.3, same, 0.95).tolist() == [0.3, 0.3]
    np.testing.assert_allclose(symmetric_interval(0.8, same, 0.95, (0, 1)), [0.3, 1])  # all draws on one side
    assert symmetric_interval(-1e-17, np.zeros(100), 0.95, (0, 1)).tolist() == [-1e-17, 0]
    assert np.isnan(symmetric_interval(np.nan, same, 0.95, (0, 1))).all()


def test_draws_without_a_value_are_far_from_it():
    draws = np.append(np.full(95, 0.5), np.full(5, np.nan))
    assert symmetric_interval(0.5, draws, 0.9, (0, 1)).tolist() == [0.5, 0.5]
    assert symmetric_interval(0.5, draws, 0.95, (0, 1)).tolist() == [0, 1]
    assert symmetric_interval(0.5, np.full(100, np.nan), 0.95, (-1, 1)).tolist() == [-1, 1]
    assert bootstrap_p_value(0.5, draws) == 6 / 101
    assert np.isnan(bootstrap_p_value(np.nan, draws))


@pytest.mark.parametrize(
    ("difference", "draws", "expected"),
    [
        (1.0, [1.0] * 99, 1 / 100),
        (-1.0, [-1.0] * 99, 1 / 100),
        (1.0, [1.0] * 94 + [-1.0] * 5, 6 / 100),
        (1.0, [1.0] * 90 + [0.0] * 4 + [2.0] * 5, 10 / 100),
        (0.0, [0.0] * 99, 1),
        (0.5, [-0.5] * 99, 1),
    ],
)
def test_p_value_counts_draws_that_are_as_far_as_zero(difference, draws, expected):
    assert bootstrap_p_value(difference, np.array(draws)) == pytest.approx(expected)


@pytest.mark.parametrize("n_draws", [99, 100, 1999, 2000])
def test_interval_excludes_zero_exactly_where_the_p_value_is_below_one_minus_the_level(n_draws):
    rng = np.random.default_rng(n_draws)
    excluded = []
    for difference in np.append(rng.integers(-30, 31, 60), rng.normal(scale=20, size=60)):
        draws = difference + rng.integers(-12, 13, n_draws)  # ties at zero for the whole differences
        low, high = symmetric_interval(difference, draws, 0.95)
        excluded.append(low > 0 or high < 0)
        assert excluded[-1] == (bootstrap_p_value(difference, draws) < 0.05)
    assert 0.2 < np.mean(excluded) < 0.9


def test_p_value_without_a_difference_is_uniform():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        sample = rng.normal(size=60)
        p.append(bootstrap_p_value(sample.mean(), rng.choice(sample, (300, 60)).mean(axis=1)))
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.1)


def test_holm_adjusted_p_values_never_fall():
    # Smallest times 4, next times 3, ..., and never below a smaller one.
    assert adjust_holm(np.array([0.04, 0.01, 0.02, 0.9])) == pytest.approx([0.08, 0.04, 0.06, 0.9])
    assert adjust_holm(np.array([0.01, 0.011, 0.3])) == pytest.approx([0.03, 0.03, 0.3])
    assert adjust_holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])


def test_holm_ignores_missing_tests():
    adjusted = adjust_holm(np.array([np.nan, 0.01, np.nan, 0.04]))
    assert np.isnan(adjusted[[0, 2]]).all()
    assert adjusted[[1, 3]] == pytest.approx([0.02, 0.04])
    assert np.isnan(adjust_holm(np.array([np.nan]))).all()
