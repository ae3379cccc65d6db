import pytest
from scipy.stats import binom

from overtop.evaluation.proportions import exact_interval


def test_exact_interval_has_binomial_tails():
    low, high = exact_interval(8, 10, 0.95)
    assert (binom.sf(7, 10, low), binom.cdf(8, 10, high)) == pytest.approx((0.025, 0.025))
    assert exact_interval(0, 0, 0.9) == (0, 1)
    assert exact_interval(0, 10, 0.9)[0] == 0
    assert exact_interval(10, 10, 0.9)[1] == 1
