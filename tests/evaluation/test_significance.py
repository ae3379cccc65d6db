import numpy as np
import pytest

from overtop.evaluation.significance import holm, interval, p_value


def test_interval_leaves_the_same_share_on_either_side():
    assert interval(np.arange(1001.0), 0.95) == pytest.approx((25, 975))
    assert interval(np.full(10, 3.0), 0.5) == (3, 3)


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
def test_p_value(draws, expected):
    assert p_value(np.array(draws)) == pytest.approx(expected)


def test_p_value_is_about_uniform_where_nothing_differs():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        sample = rng.normal(size=60)
        p.append(p_value(rng.choice(sample, (300, 60)).mean(axis=1)))
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.1)


def test_holm():
    # Smallest times 4, next times 3, ..., never below one before it.
    assert holm(np.array([0.04, 0.01, 0.02, 0.9])) == pytest.approx([0.08, 0.04, 0.06, 0.9])
    assert holm(np.array([0.01, 0.011, 0.3])) == pytest.approx([0.03, 0.03, 0.3])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])


def test_holm_counts_no_missing_tests():
    adjusted = holm(np.array([np.nan, 0.01, np.nan, 0.04]))
    assert np.isnan(adjusted[[0, 2]]).all()
    assert adjusted[[1, 3]] == pytest.approx([0.02, 0.04])
    assert np.isnan(holm(np.array([np.nan]))).all()
