import numpy as np
import pytest

from overtop.confidence.sample_sizes import queries_needed
from overtop.confidence.thresholds import guaranteed_threshold

PRECISION, CONFIDENCE = 0.8, 0.95


def draw(n, rng):
    """Uncertainties of independent queries, of which the most certain are right and the least certain mostly wrong."""
    uncertainty = rng.uniform(size=n)
    return uncertainty, rng.uniform(size=n) < 1 - 0.6 * uncertainty


def share_with_threshold(n):
    rng = np.random.default_rng(1)
    thresholds = [guaranteed_threshold(*draw(n, rng), PRECISION, CONFIDENCE) for _ in range(100)]
    return np.mean(np.isfinite(thresholds))


def test_estimate_from_few_queries_is_of_the_size_from_which_thresholds_are_guaranteed():
    rng = np.random.default_rng(0)
    needed = np.median([queries_needed(*draw(97, rng), PRECISION, CONFIDENCE) for _ in range(100)])
    assert 100 <= needed <= 300
    assert share_with_threshold(int(needed / 3)) < 0.1
    assert share_with_threshold(int(needed * 3)) > 0.9


def test_more_queries_are_needed_for_a_higher_precision():
    sample = draw(400, np.random.default_rng(0))
    assert queries_needed(*sample, 0.9, CONFIDENCE) > 2 * queries_needed(*sample, 0.8, CONFIDENCE)


@pytest.mark.parametrize("hit", [np.zeros(50, bool), np.arange(50) % 2 == 0])
def test_target_that_no_coverage_reaches_needs_infinitely_many(hit):
    assert queries_needed(np.arange(50), hit, PRECISION, CONFIDENCE) == np.inf


def test_fewer_queries_than_can_be_judged_need_infinitely_many():
    assert queries_needed(np.arange(5), np.ones(5, bool), PRECISION, CONFIDENCE) == np.inf
