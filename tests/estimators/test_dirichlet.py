import numpy as np
import pytest
from scipy.special import digamma
from scipy.stats import spearmanr

from helpers.rankings import SCORE_CASES, make_estimator_inputs
from overtop.estimators.scoring import compute_uncertainty

TEMPERATURE = 0.07
CASES_WITH_LARGE_CONCENTRATIONS = ["CLIP-like", "ties", "large margin"]


def concentrations(scores):
    return 1e-6 + np.exp((scores + 1.0) / TEMPERATURE)


@pytest.mark.parametrize("case", CASES_WITH_LARGE_CONCENTRATIONS)
def test_dirichlet_entropy_equals_its_definition_by_the_digamma_function(case):
    alpha = concentrations(SCORE_CASES[case])
    total = alpha.sum(axis=1, keepdims=True)
    expected = -(alpha / total * (digamma(alpha + 1) - digamma(total + 1))).sum(axis=1)
    inputs = make_estimator_inputs(SCORE_CASES[case], TEMPERATURE)
    uncertainty = compute_uncertainty("dirichlet_entropy", inputs, "corrected")
    np.testing.assert_allclose(uncertainty, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", SCORE_CASES)
def test_dirichlet_vacuity_equals_its_definition(case):
    alpha = concentrations(SCORE_CASES[case])
    classes = alpha.shape[1]
    inputs = make_estimator_inputs(SCORE_CASES[case], TEMPERATURE)
    uncertainty = compute_uncertainty("dirichlet_vacuity", inputs, "corrected")
    np.testing.assert_allclose(uncertainty, classes / (alpha.sum(axis=1) + classes), rtol=1e-9)


@pytest.mark.parametrize(("name", "counterpart"), [("dirichlet_entropy", "entropy"), ("dirichlet_vacuity", "energy")])
def test_dirichlet_estimators_of_a_frozen_encoder_order_queries_as_the_softmax_does(name, counterpart):
    inputs = make_estimator_inputs(SCORE_CASES["CLIP-like"], TEMPERATURE)
    uncertainties = [compute_uncertainty(estimator, inputs, "corrected") for estimator in (name, counterpart)]
    assert spearmanr(*uncertainties).statistic == pytest.approx(1.0, abs=1e-6)
