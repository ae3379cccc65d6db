import numpy as np
import pytest
from scipy.stats import binomtest

from overtop.confidence.hit_probabilities import (
    COVERAGE_STEPS,
    DIAGRAM_BINS,
    MEASURE_BOUNDS,
    coverage_curve,
    hit_predictions,
    measure_hit_probabilities,
    reliability_bins,
)
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.probabilities import ECE_BINS


def make_queries(n, seed=0, levels=None, sharpness=1.0):
    """Return probabilities of n queries, and hits that are as frequent as them if the sharpness is 1."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(1.2, 0.8, n)
    if levels is not None:
        chance = np.round(chance * levels) / levels
    hit = rng.random(n) < chance
    odds = chance**sharpness
    return odds / (odds + (1 - chance) ** sharpness), hit


def measure(p, hit, resamples=100):
    weights = draw_cluster_weights(len(hit), resamples, seed=1)
    return measure_hit_probabilities(hit_predictions(p, hit), weights, 0.95)


def expected_measures(p, hit):
    """Return every measure by plain loops over the queries."""
    n = len(p)
    bins = {}
    for value in set(p.tolist()):
        group = [i for i in range(n) if p[i] == value]
        above = sum(q > value for q in p)
        bins.setdefault((2 * above + len(group)) * ECE_BINS // (2 * n), []).extend(group)
    pairs = [(p[i], p[j]) for i in range(n) for j in range(n) if not hit[i] and hit[j]]
    accuracy, mean = sum(map(bool, hit)) / n, sum(p) / n
    return {
        "accuracy": accuracy,
        "p_right": mean,
        "overconfidence": mean - accuracy,
        "ece": sum(abs(sum(float(hit[i]) - p[i] for i in inside)) for inside in bins.values()) / n,
        "brier": sum((p[i] - float(hit[i])) ** 2 for i in range(n)) / n,
        "nll": -sum(np.log(p[i] if hit[i] else 1 - p[i]) for i in range(n)) / n,
        "auroc": sum(1.0 if miss < right else 0.5 * (miss == right) for miss, right in pairs) / len(pairs),
    }


@pytest.mark.parametrize(("n", "levels"), [(90, None), (77, None), (60, 5)])
def test_measures_equal_plain_loops_over_the_queries(n, levels):
    p, hit = make_queries(n, levels=levels)
    p = np.clip(p, 0.01, 0.99)
    measured = measure(p, hit)
    expected = expected_measures(p, hit)
    assert list(expected) == list(MEASURE_BOUNDS)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, abs=1e-12), name
        assert measured[f"{name}_low"] <= value <= measured[f"{name}_high"], name


def test_resamples_are_of_queries_with_their_probabilities():
    p, hit = make_queries(50, seed=3)
    weights = np.zeros((20, 50), dtype=np.uint16)
    weights[:, :10] = 5  # every resample has the first ten queries, five times each
    measured = measure_hit_probabilities(hit_predictions(p, hit), weights, 0.9)
    value, of_ten = p.mean() - hit.mean(), p[:10].mean() - hit[:10].mean()
    distance = abs(of_ten - value)
    assert measured["overconfidence_low"] == pytest.approx(value - distance)
    assert measured["overconfidence_high"] == pytest.approx(value + distance)


def test_calibrated_probabilities_are_neither_over_nor_underconfident():
    """The interval of the overconfidence contains 0 as often as it should, and ECE is that of a perfect model."""
    measured = [measure(*make_queries(600, seed), resamples=200) for seed in range(40)]
    contained = [each["overconfidence_low"] <= 0 <= each["overconfidence_high"] for each in measured]
    assert np.mean(contained) >= 0.85  # 0.95 within three standard errors
    ratio = np.mean([each["ece"] for each in measured]) / np.mean([each["ece_calibrated"] for each in measured])
    assert ratio == pytest.approx(1, abs=0.1)


def test_too_extreme_probabilities_have_a_larger_error_than_a_perfect_model():
    measured = measure(*make_queries(2000, sharpness=3.0))
    assert measured["ece"] > 2 * measured["ece_calibrated"]
    assert measured["brier"] > measure(*make_queries(2000))["brier"]


def test_constant_overconfidence_is_measured_and_its_interval_excludes_zero():
    p, hit = make_queries(1000)
    measured = measure(np.minimum(p + 0.15, 1), hit)
    assert 0.1 < measured["overconfidence_low"] < measured["overconfidence"] < measured["overconfidence_high"] < 0.2


def test_certain_answer_that_is_wrong_has_a_finite_nll():
    measured = measure(np.array([1.0, 1.0, 0.0, 0.5]), np.array([True, False, False, True]))
    assert measured["nll"] == pytest.approx((-np.log(1e-6) + np.log(2)) / 4, abs=1e-5)
    assert measured["brier"] == pytest.approx(1.25 / 4)


@pytest.mark.parametrize("levels", [None, 6])
def test_reliability_bins_have_all_queries_and_exact_intervals(levels):
    p, hit = make_queries(400, seed=5, levels=levels)
    bins = reliability_bins(hit_predictions(p, hit), 0.9)
    assert bins["n_queries"].sum() == 400
    assert len(bins) == DIAGRAM_BINS if levels is None else 1 < len(bins) <= levels + 1
    assert bins["p_right"].is_monotonic_decreasing
    for row in bins.itertuples():
        inside = (p >= row.p_low) & (p <= row.p_high)
        assert row.n_queries == inside.sum()
        assert row.p_right == pytest.approx(p[inside].mean())
        assert row.accuracy == pytest.approx(hit[inside].mean())
        interval = binomtest(int(hit[inside].sum()), int(inside.sum())).proportion_ci(0.9, "exact")
        assert (row.accuracy_low, row.accuracy_high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_coverage_is_the_share_of_queries_with_at_least_the_probability():
    p = np.array([0.0, 0.04, 0.05, 0.5, 0.999, 1.0])
    curve = coverage_curve(hit_predictions(p, p > 0.4))
    assert len(curve) == COVERAGE_STEPS + 1
    for row in curve.itertuples():
        assert row.coverage == pytest.approx(sum(value >= row.p_right for value in p) / 6)


def test_no_queries_and_invalid_probabilities_are_errors():
    with pytest.raises(OvertopError, match="no queries"):
        hit_predictions(np.array([]), np.array([], dtype=bool))
    with pytest.raises(OvertopError, match="number 1 is"):
        measure(np.array([0.5, 1.5]), np.array([True, False]))
