import numpy as np
import pytest
from scipy.special import digamma
from scipy.stats import spearmanr

from helpers.similarities import SCORES, evidence_of
from overtop.estimators.registry import score

TEMPERATURE = 0.07
REAL = ["like CLIP's", "ties", "far ahead"]


def alphas(scores):
    return 1e-6 + np.exp((scores + 1.0) / TEMPERATURE)


@pytest.mark.parametrize("case", REAL)
def test_aleatoric_against_the_digamma_function(case):
    alpha = alphas(SCORES[case])
    total = alpha.sum(axis=1, keepdims=True)
    expected = -(alpha / total * (digamma(alpha + 1) - digamma(total + 1))).sum(axis=1)
    found = score("dirichlet_entropy", evidence_of(SCORES[case], TEMPERATURE), "corrected")
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", SCORES)
def test_epistemic_against_its_definition(case):
    alpha = alphas(SCORES[case])
    classes = alpha.shape[1]
    found = score("dirichlet_vacuity", evidence_of(SCORES[case], TEMPERATURE), "corrected")
    np.testing.assert_allclose(found, classes / (alpha.sum(axis=1) + classes), rtol=1e-9)


def test_on_a_frozen_encoder_they_order_queries_as_entropy_and_energy_do():
    evidence = evidence_of(SCORES["like CLIP's"], TEMPERATURE)
    for ours, theirs in (("dirichlet_entropy", "entropy"), ("dirichlet_vacuity", "energy")):
        found = [score(name, evidence, "corrected") for name in (ours, theirs)]
        assert spearmanr(*found).statistic == pytest.approx(1.0, abs=1e-6)
