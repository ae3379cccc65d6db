import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import entropy as shannon

from helpers import oracles
from helpers.similarities import SCORES, evidence_of, ranking_of
from overtop.errors import OvertopError
from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import score
from overtop.retrieval.exact import rank
from overtop.retrieval.temperature import Temperatures
from overtop.storage.shards import ArraySource

every_case = pytest.mark.parametrize("case", SCORES)
every_temperature = pytest.mark.parametrize("temperature", [0.005, 0.01, 0.07, 1.0])
every_protocol = pytest.mark.parametrize("protocol", ["published", "corrected"])


@every_protocol
@every_case
def test_top1_and_margin(case, protocol):
    scores = SCORES[case]
    best = np.sort(scores, axis=1)[:, ::-1]
    evidence = Evidence(ranking_of(scores))
    np.testing.assert_allclose(score("top1_similarity", evidence, protocol), 1 - best[:, 0])
    expected = 1 - (best[:, 0] - best[:, 1]) if scores.shape[1] > 1 else np.zeros(len(scores))
    np.testing.assert_allclose(score("margin", evidence, protocol), expected)


@every_temperature
@every_case
def test_what_the_softmax_says(case, temperature):
    scores = SCORES[case]
    p = softmax(scores / temperature, axis=1)
    evidence = evidence_of(scores, temperature)
    most = np.log(scores.shape[1]) or 1.0
    np.testing.assert_allclose(score("entropy", evidence, "corrected"), shannon(p, axis=1) / most, atol=1e-9)
    np.testing.assert_allclose(score("max_softmax", evidence, "corrected"), 1 - p.max(axis=1), atol=1e-12)
    energy = temperature * logsumexp(scores / temperature, axis=1)
    np.testing.assert_allclose(score("energy", evidence, "corrected"), 1 - energy, atol=1e-12)


def test_a_probability_near_one_keeps_its_digits():
    # 1 - max p is e^-80: a difference of probabilities would be 0.
    evidence = evidence_of([[0.9, 0.1]], 0.01)
    assert score("max_softmax", evidence, "corrected")[0] == pytest.approx(np.exp(-80.0), rel=1e-6)


@every_temperature
@pytest.mark.parametrize("samples", [1, 3])
def test_from_embeddings_to_the_softmax(samples, temperature):
    rng = np.random.default_rng(2)
    images = ArraySource([rng.normal(size=(50, 6)) for _ in range(samples)])
    texts = ArraySource([rng.normal(size=(70, 6)) for _ in range(samples)])
    scores = np.mean(
        [oracles.unit(texts.read(s, 0, 70)) @ oracles.unit(images.read(s, 0, 50)).T for s in range(samples)], axis=0
    )
    rankings = rank(images, texts, top=10, temperatures=(temperature,))
    for direction, rows in (("t2i", scores), ("i2t", scores.T)):
        evidence = Evidence(rankings[direction], temperatures=Temperatures(temperature, temperature))
        for name in ("entropy", "max_softmax", "energy", "dirichlet_entropy"):
            expected = score(name, evidence_of(rows, temperature), "corrected")
            np.testing.assert_allclose(score(name, evidence, "corrected"), expected, atol=2e-5, rtol=1e-4)


def test_another_temperature_than_was_kept():
    evidence = Evidence(ranking_of(SCORES["ties"], (0.02,)))
    with pytest.raises(OvertopError, match=r"no softmax at temperature 0.01 \(kept: 0.02\)"):
        score("entropy", evidence, "corrected")
    with pytest.raises(OvertopError, match="set ranking.search to stream"):
        score("energy", Evidence(ranking_of(SCORES["ties"])), "corrected")
