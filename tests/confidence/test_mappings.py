import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from overtop.confidence.mappings import (
    PROBABILITY_ESTIMATORS,
    SMALLEST_PROBABILITY,
    IsotonicMapping,
    LogisticMapping,
    applicable_mappings,
    fit_mapping,
    negative_log_likelihood,
)
from overtop.errors import OvertopError
from overtop.estimators.registry import REGISTRY

GRID = np.linspace(0, 1, 501)


def draw(rng, n, curve=lambda u: 1 - u):
    """Uncertainties, and hits with a probability that is a function of them."""
    uncertainty = rng.random(n)
    return uncertainty, rng.random(n) < curve(uncertainty)


def test_softmax_is_one_minus_the_uncertainty():
    mapping = fit_mapping("softmax", "max_softmax", np.array([0.5]), np.array([True]))
    np.testing.assert_array_equal(mapping.probability([0.0, 0.25, 1.0]), [1.0, 0.75, 0.0])


@pytest.mark.parametrize("estimator", ["max_softmax", "margin"])
def test_logistic_is_the_regression_of_scikit_learn_on_the_targets_of_platt(estimator):
    uncertainty, hit = draw(np.random.default_rng(0), 200)
    x = logit(1 - uncertainty) if estimator == "max_softmax" else -uncertainty
    x = ((x - x.mean()) / x.std())[:, None]
    high, low = (hit.sum() + 1) / (hit.sum() + 2), 1 / ((~hit).sum() + 2)
    weights = np.concatenate([np.where(hit, high, low), 1 - np.where(hit, high, low)])
    oracle = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
    oracle.fit(np.concatenate([x, x]), np.repeat([1, 0], 200), sample_weight=weights)
    fitted = fit_mapping("logistic", estimator, uncertainty, hit)
    np.testing.assert_allclose(fitted.probability(uncertainty), oracle.predict_proba(x)[:, 1], atol=1e-4)


def test_logistic_of_calibrated_probabilities_changes_them_little():
    mapping = fit_mapping("logistic", "bank_nnn", *draw(np.random.default_rng(1), 20_000))
    assert mapping.intercept == pytest.approx(0, abs=0.06)
    assert mapping.slope == pytest.approx(1, abs=0.05)


def test_logistic_recovers_overconfidence():
    mapping = fit_mapping(
        "logistic", "max_softmax", *draw(np.random.default_rng(2), 20_000, lambda u: expit(0.5 * logit(1 - u) - 0.3))
    )
    assert mapping.intercept == pytest.approx(-0.3, abs=0.06)
    assert mapping.slope == pytest.approx(0.5, abs=0.05)


def test_isotonic_is_that_of_scikit_learn_with_a_hit_and_a_miss_in_each_part():
    uncertainty, hit = draw(np.random.default_rng(3), 300)
    plain = IsotonicRegression(increasing=False).fit(uncertainty, hit).predict(uncertainty)
    parts, part, sizes = np.unique(plain, return_inverse=True, return_counts=True)
    smoothed = (np.bincount(part, hit) + 1) / (sizes + 2)
    oracle = IsotonicRegression().fit_transform(parts, smoothed, sample_weight=sizes)[part]
    fitted = fit_mapping("isotonic", "margin", uncertainty, hit)
    np.testing.assert_allclose(fitted.probability(uncertainty), oracle, atol=1e-12)


def test_isotonic_gives_equal_uncertainties_the_same_probability():
    uncertainty, hit = np.repeat([0.2, 0.6], [6, 4]), np.array([1, 1, 1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
    mapping = fit_mapping("isotonic", "margin", uncertainty, hit)
    np.testing.assert_allclose(mapping.probability([0.0, 0.2, 0.4, 0.6, 1.0]), [6 / 8, 6 / 8, 13 / 24, 2 / 6, 2 / 6])


@pytest.mark.parametrize("estimator", ["max_softmax", "margin"])
@pytest.mark.parametrize("name", ["logistic", "isotonic"])
@pytest.mark.parametrize("curve", [lambda u: 1 - u, lambda u: u, lambda u: 0 * u, lambda u: 0 * u + 1])
@pytest.mark.parametrize("n", [1, 2, 60])
def test_fitted_probability_is_inside_0_and_1_and_falls_with_uncertainty(estimator, name, curve, n):
    mapping = fit_mapping(name, estimator, *draw(np.random.default_rng(4), n, curve))
    probability = mapping.probability(GRID)
    assert ((probability > 0) & (probability < 1)).all()
    assert (np.diff(probability) <= 1e-12).all()


@pytest.mark.parametrize("name", ["logistic", "isotonic"])
@pytest.mark.parametrize(("is_hit", "expected"), [(True, 61 / 62), (False, 1 / 62)])
def test_all_hits_or_all_misses_give_nearly_one_or_zero(name, is_hit, expected):
    mapping = fit_mapping(name, "max_softmax", np.linspace(0.1, 0.9, 60), np.full(60, is_hit))
    np.testing.assert_allclose(mapping.probability([0.1, 0.5, 0.9]), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "isotonic"])
def test_constant_uncertainty_gives_the_share_of_hits(name):
    hit = np.arange(100) < 30
    mapping = fit_mapping(name, "top1_similarity", np.full(100, 0.7), hit)
    np.testing.assert_allclose(mapping.probability([0.0, 0.7, 2.0]), 0.3, atol=0.01)


def test_logistic_of_certain_and_hopeless_queries_is_finite():
    mapping = LogisticMapping("logit", intercept=0.0, slope=1.0)
    np.testing.assert_allclose(
        mapping.probability([0.0, 1e-300, 1.0]), [1 - SMALLEST_PROBABILITY] * 2 + [SMALLEST_PROBABILITY]
    )


def test_negative_log_likelihood_is_that_of_what_happened():
    values = negative_log_likelihood(np.array([0.9, 0.9, 1.0, 0.0]), np.array([True, False, False, True]))
    np.testing.assert_allclose(values, -np.log([0.9, 0.1, SMALLEST_PROBABILITY, SMALLEST_PROBABILITY]))


def test_estimators_that_are_probabilities_are_those_of_the_registry():
    assert {"max_softmax", "bank_softmax", "bank_nnn"} == set(PROBABILITY_ESTIMATORS) <= set(REGISTRY)


def test_auto_compares_softmax_only_for_probabilities():
    assert applicable_mappings("max_softmax") == ("softmax", "logistic", "isotonic")
    assert applicable_mappings("margin") == ("logistic", "isotonic")
    assert applicable_mappings("margin", "isotonic") == ("isotonic",)


@pytest.mark.parametrize(
    ("estimator", "mapping", "message"),
    [
        ("margin", "softmax", "mapping 'softmax' needs an estimator that is a probability"),
        ("max_softmax", "platt", "unknown mapping 'platt'; use auto, softmax, logistic, isotonic"),
    ],
)
def test_mapping_that_does_not_apply_is_an_error(estimator, mapping, message):
    with pytest.raises(OvertopError, match=message):
        applicable_mappings(estimator, mapping)


def test_knots_without_values_are_an_error():
    with pytest.raises(ValueError, match="2 knots have 1 values"):
        IsotonicMapping((0.0, 1.0), (0.5,))
