import numpy as np
import pytest

from overtop.evaluation.significance import adjust_holm, bootstrap_p_value, percentile_interval


def test_percentile_interval_has_equal_tails():
    assert percentile_interval(np.arange(1001.0), 0.95) == pytest.approx([25, 975])
    assert percentile_interval(np.full(10, 3.0), 0.5).tolist() == [3, 3]


def test_percentile_interval_is_along_the_last_axis():
    draws = np.random.default_rng(0).random((3, 50))
    expected = np.transpose([percentile_interval(row, 0.9) for row in draws])
    np.testing.assert_array_equal(percentile_interval(draws, 0.9), expected)


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([1.0] * 99, 2 / 100),
        ([-1.0] * 99, 2 / 100),
        ([1.0] * 94 + [-1.0] * 5, 12 / 100),
        ([0.0] * 99, 1),
        ([1.0] * 50 + [-1.0] * 49, 1),
        ([1.0] * 90 + [0.0] * 9, 20 / 100),
    ],
)
def test_p_value_counts_draws_on_either_side_of_zero(draws, expected):
    assert bootstrap_p_value(np.array(draws)) == pytest.approx(expected)


def test_p_value_without_a_difference_is_uniform():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        sample = rng.normal(size=60)
        p.append(bootstrap_p_value(rng.choice(sample, (300, 60)).mean(axis=1)))
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
