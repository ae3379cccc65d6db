import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import entropy as shannon_entropy

from helpers import oracles
from helpers.rankings import SCORE_CASES, make_estimator_inputs, make_ranking
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.retrieval.exact import rank
from overtop.retrieval.temperature import Temperatures
from overtop.storage.shards import ArraySource

every_case = pytest.mark.parametrize("case", SCORE_CASES)
every_temperature = pytest.mark.parametrize("temperature", [0.005, 0.01, 0.07, 1.0])
every_protocol = pytest.mark.parametrize("protocol", ["published", "corrected"])


@every_protocol
@every_case
def test_top1_similarity_and_margin_equal_their_definitions(case, protocol):
    scores = SCORE_CASES[case]
    best = np.sort(scores, axis=1)[:, ::-1]
    inputs = EstimatorInputs(make_ranking(scores))
    np.testing.assert_allclose(compute_uncertainty("top1_similarity", inputs, protocol), 1 - best[:, 0])
    expected = 1 - (best[:, 0] - best[:, 1]) if scores.shape[1] > 1 else np.zeros(len(scores))
    np.testing.assert_allclose(compute_uncertainty("margin", inputs, protocol), expected)


@every_temperature
@every_case
def test_softmax_estimators_equal_their_definitions(case, temperature):
    scores = SCORE_CASES[case]
    p = softmax(scores / temperature, axis=1)
    inputs = make_estimator_inputs(scores, temperature)
    uncertainty = {
        name: compute_uncertainty(name, inputs, "corrected") for name in ("entropy", "max_softmax", "energy")
    }
    max_entropy = np.log(scores.shape[1]) or 1.0
    np.testing.assert_allclose(uncertainty["entropy"], shannon_entropy(p, axis=1) / max_entropy, atol=1e-9)
    np.testing.assert_allclose(uncertainty["max_softmax"], 1 - p.max(axis=1), atol=1e-12)
    energy_score = temperature * logsumexp(scores / temperature, axis=1)
    np.testing.assert_allclose(uncertainty["energy"], 1 - energy_score, atol=1e-12)


@every_temperature
def test_items_of_a_group_do_not_compete_under_corrected(temperature):
    scores = np.random.default_rng(4).normal(0.2, 0.05, (30, 60))
    groups = np.repeat(np.arange(20), 3)
    inputs, ungrouped = make_estimator_inputs(scores, temperature, groups), make_estimator_inputs(scores, temperature)
    for name in ("margin", "entropy", "max_softmax", "energy"):
        published, corrected = (compute_uncertainty(name, inputs, protocol) for protocol in ("published", "corrected"))
        np.testing.assert_array_equal(published, compute_uncertainty(name, ungrouped, "published"))
        for query, row in enumerate(scores):
            expected = oracles.GROUPED[name](row, groups, temperature)
            assert corrected[query] == pytest.approx(1 - expected, abs=1e-9)


@pytest.mark.parametrize("name", ["margin", "entropy", "max_softmax"])
def test_a_gallery_of_one_group_is_certain(name):
    inputs = make_estimator_inputs([[0.3, 0.2, 0.1], [0.1, 0.1, 0.1]], 0.01, [0, 0, 0])
    np.testing.assert_array_equal(compute_uncertainty(name, inputs, "corrected"), 0)


def test_max_softmax_of_a_probability_close_to_one_keeps_its_digits():
    # 1 - max p is e^-80; the difference of the probabilities would be 0.
    inputs = make_estimator_inputs([[0.9, 0.1]], 0.01)
    assert compute_uncertainty("max_softmax", inputs, "corrected")[0] == pytest.approx(np.exp(-80.0), rel=1e-6)


@every_temperature
@pytest.mark.parametrize("samples", [1, 3])
def test_softmax_estimators_of_ranked_embeddings_equal_those_of_the_similarity_matrix(samples, temperature):
    rng = np.random.default_rng(2)
    images = ArraySource([rng.normal(size=(50, 6)) for _ in range(samples)])
    texts = ArraySource([rng.normal(size=(70, 6)) for _ in range(samples)])
    image_samples, text_samples = (
        [source.read(s, 0, source.n_items) for s in range(samples)] for source in (images, texts)
    )
    scores = oracles.cosine_similarities(text_samples, image_samples).mean(axis=0)
    rankings = rank(images, texts, top=10, temperatures=(temperature,))
    for direction, matrix in (("t2i", scores), ("i2t", scores.T)):
        inputs = EstimatorInputs(rankings[direction], temperatures=Temperatures(temperature, temperature))
        for name in ("entropy", "max_softmax", "energy", "dirichlet_entropy"):
            expected = compute_uncertainty(name, make_estimator_inputs(matrix, temperature), "corrected")
            uncertainty = compute_uncertainty(name, inputs, "corrected")
            np.testing.assert_allclose(uncertainty, expected, atol=2e-5, rtol=1e-4)


def test_temperature_that_the_ranking_does_not_contain_is_refused():
    inputs = EstimatorInputs(make_ranking(SCORE_CASES["ties"], (0.02,)))
    with pytest.raises(OvertopError, match=r"temperature 0.01 .*0.02.*rank again"):
        compute_uncertainty("entropy", inputs, "corrected")
