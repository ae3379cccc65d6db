import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval.exact import rank
from overtop.retrieval.temperature_fit import GRID, Temperatures, chosen, fit, log_positives, to_keep
from overtop.storage.files import write_json
from overtop.storage.shards import ArraySource

RNG = np.random.default_rng(0)


def world(n_images=40, per_image=3, samples=2, noise=2.5, dim=16):
    """Captions that stand near their image in every sample."""
    owner = np.repeat(np.arange(n_images), per_image)
    images = [RNG.normal(size=(n_images, dim)) for _ in range(samples)]
    texts = [image[owner] + noise * RNG.normal(size=(len(owner), dim)) for image in images]
    return ArraySource(images), ArraySource(texts), owner


def plain_nll(images, texts, owner, direction, temperature):
    """Mean over queries of -log of the probability that any positive is drawn, in float64."""
    per_sample = [
        oracles.unit(texts.read(s, 0, texts.n_items)) @ oracles.unit(images.read(s, 0, images.n_items)).T
        for s in range(images.n_samples)
    ]
    scores = np.mean(per_sample, axis=0)
    right = owner[:, None] == np.arange(images.n_items)
    if direction == "i2t":
        scores, right = scores.T, right.T
    kept = right.any(axis=1)
    logits = scores[kept] / temperature
    return np.mean(logsumexp(logits, axis=1) - logsumexp(np.where(right[kept], logits, -np.inf), axis=1))


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_the_fit_minimises_the_plain_likelihood(direction):
    images, texts, owner = world()
    rankings = rank(images, texts, top=1, vote_top=1, temperatures=GRID)
    found = fit(rankings[direction], log_positives(images, texts, owner, rankings)[direction])

    def nll(log_temperature):
        return plain_nll(images, texts, owner, direction, np.exp(log_temperature))

    plain = minimize_scalar(nll, bounds=(np.log(GRID[0]), np.log(GRID[-1])), method="bounded")
    assert np.log(found.temperature) == pytest.approx(plain.x, abs=5e-3)
    assert found.nll == pytest.approx(plain.fun, abs=1e-4)
    assert found.n_queries == (len(owner) if direction == "t2i" else images.n_items)


def test_a_temperature_of_known_truth_is_recovered():
    # Right answers drawn from the softmax at 0.05 itself.
    truth, n = 0.05, 3000
    images = ArraySource([RNG.normal(size=(30, 8))])
    texts = ArraySource([RNG.normal(size=(n, 8))])
    scores = oracles.unit(texts.read(0, 0, n)) @ oracles.unit(images.read(0, 0, 30)).T
    owner = np.array([RNG.choice(30, p=row) for row in softmax(scores / truth, axis=1)])
    rankings = rank(images, texts, top=1, vote_top=1, temperatures=GRID)
    found = fit(rankings["t2i"], log_positives(images, texts, owner, rankings)["t2i"])
    assert found.temperature == pytest.approx(truth, rel=0.05)


def test_captions_of_skipped_images_do_not_count():
    images, texts, owner = world()
    missing = np.where(owner == 3, -1, owner)
    rankings = rank(images, texts, top=1, vote_top=1, temperatures=GRID)
    likelihood = log_positives(images, texts, missing, rankings)
    assert np.isneginf(likelihood["t2i"][owner == 3]).all()
    assert np.isneginf(likelihood["i2t"][3]).all()
    for direction, expected in (("t2i", 117), ("i2t", 39)):
        found = fit(rankings[direction], likelihood[direction])
        assert found.n_queries == expected
        nll = plain_nll(images, texts, missing, direction, found.temperature)
        assert found.nll == pytest.approx(nll, abs=1e-4)


def test_similarities_that_say_nothing_are_an_error():
    images, texts, _ = world(noise=0.0)
    owner = (np.arange(texts.n_items) // 3 + 1) % images.n_items  # always the wrong one
    rankings = rank(images, texts, top=1, vote_top=1, temperatures=GRID)
    with pytest.raises(OvertopError, match="set temperature.softmax to a number"):
        fit(rankings["t2i"], log_positives(images, texts, owner, rankings)["t2i"])
    with pytest.raises(OvertopError, match="no query"):
        fit(rankings["t2i"], np.full((texts.n_items, len(GRID)), -np.inf))


def test_what_is_chosen(tmp_path):
    assert chosen({"softmax": 0.02, "dirichlet": 0.07}, None)["i2t"] == Temperatures(0.02, 0.07)
    write_json(tmp_path / "fit.json", {"t2i": {"temperature": 0.03}, "i2t": {"temperature": 0.04}})
    fitted = chosen({"softmax": "fitted", "dirichlet": 0.07}, tmp_path / "fit.json")
    assert (fitted["t2i"].softmax, fitted["i2t"].softmax) == (0.03, 0.04)
    assert to_keep(fitted) == (0.03, 0.04, 0.07)
