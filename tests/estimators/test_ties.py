"""Scores and their ties do not depend on how the ranking pass was computed: blocks, threads, precision, coordinates.

Discrete estimators must be identical, continuous ones equal within float32 rounding (divided by the temperature where
they use a softmax). Where similarities are exact in float32, margins and similarities must be identical, too. Identical
queries must have identical scores however the pass was computed.
"""

from contextlib import contextmanager
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch

from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.registry import REGISTRY, missing_requirement
from overtop.estimators.scoring import compute_uncertainty
from overtop.radius.compute import compute_radii
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource
from overtop.terms import DIRECTIONS, DIRICHLET_TEMPERATURE, PROTOCOLS, SOFTMAX_TEMPERATURE

DISCRETE = {"top1_consistency", "topk_consistency"}
ESTIMATORS = [name for name, estimator in REGISTRY.items() if not estimator.needs & {"radius", "adapter"}]
SIMILARITY_TOLERANCE = 1e-6
SOFTMAX_TOLERANCE = 1e-5
SAMPLES, IMAGES, CAPTIONS, DIM = 4, 60, 150, 16
IMAGE_ROWS = np.random.default_rng(8).integers(0, IMAGES, 90)
CAPTION_ROWS = np.random.default_rng(9).integers(0, CAPTIONS, 240)
"""Items of the gallery `duplicates`, each about twice, in any order."""


def random_embeddings():
    """Samples of images and captions in which several items compete for the votes of a query."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(1, IMAGES, DIM)) + 0.5 * rng.normal(size=(SAMPLES, IMAGES, DIM))
    captions = images[:, np.arange(CAPTIONS) % IMAGES] + rng.normal(size=(SAMPLES, CAPTIONS, DIM))
    return images, captions


def sign_embeddings():
    """The same with coordinates of -1 and 1 in 16 dimensions: similarities are exact in float32, and most are tied."""
    rng = np.random.default_rng(1)
    images = rng.choice([-1.0, 1.0], (1, IMAGES, DIM)) * rng.choice([-1.0, 1.0], (SAMPLES, IMAGES, DIM), p=[0.1, 0.9])
    noise = rng.choice([-1.0, 1.0], (SAMPLES, CAPTIONS, DIM), p=[0.25, 0.75])
    return images, images[:, np.arange(CAPTIONS) % IMAGES] * noise


@cache
def make_world(name):
    """Images (S, N, D), captions (S, M, D), and the first identical query of every query, by direction."""
    images, captions = sign_embeddings() if name == "few values" else random_embeddings()
    rows = {"t2i": np.arange(CAPTIONS), "i2t": np.arange(IMAGES)}
    if name == "duplicates":
        rows = {"t2i": CAPTION_ROWS, "i2t": IMAGE_ROWS}
    first = {direction: np.array([row.tolist().index(i) for i in row]) for direction, row in rows.items()}
    return images[:, rows["i2t"]], captions[:, rows["t2i"]], first


@contextmanager
def number_of_threads(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def score(images, captions, grouped=False, threads=1, **options):
    """Uncertainties of all queries by direction, protocol and estimator."""
    groups = {"t2i": np.arange(images.shape[1]), "i2t": np.arange(captions.shape[1]) // 3} if grouped else None
    temperatures = (SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE)
    sources = ArraySource(list(images)), ArraySource(list(captions))
    with number_of_threads(threads):
        rankings = rank(*sources, top=50, temperatures=temperatures, groups=groups, device="cpu", **options)
        radii = compute_radii(*sources, rankings, device="cpu")
    inputs = {direction: EstimatorInputs(rankings[direction], radii[direction]) for direction in DIRECTIONS}
    return {
        (direction, protocol, name): compute_uncertainty(name, inputs[direction], protocol)
        for direction, protocol, name in product(DIRECTIONS, PROTOCOLS, ESTIMATORS)
        if missing_requirement(REGISTRY[name], inputs[direction], protocol) is None
    }


@cache
def reference_scores(world, grouped):
    images, captions, _ = make_world(world)
    return score(images, captions, grouped, precision="float32")


def assert_same_scores(scores, reference, world):
    for key, expected in reference.items():
        uses_softmax = "softmax" in REGISTRY[key[-1]].needs
        if key[-1] in DISCRETE or (world == "few values" and not uses_softmax):
            np.testing.assert_array_equal(scores[key], expected, err_msg=str(key))
        elif uses_softmax or key[-1].startswith("lsmv"):  # logarithms of small similarities amplify rounding as well
            np.testing.assert_allclose(scores[key], expected, rtol=0, atol=SOFTMAX_TOLERANCE, err_msg=str(key))
        else:
            np.testing.assert_allclose(scores[key], expected, rtol=0, atol=SIMILARITY_TOLERANCE, err_msg=str(key))
            assert len(np.unique(scores[key])) == len(np.unique(expected)), key


WORLDS = ["random", "duplicates", "few values"]


@pytest.mark.parametrize(
    ("threads", "block", "precision"),
    [(1, 17, "float32"), (2, None, "float32"), (1, None, "bfloat16"), (2, 17, "bfloat16")],
)
@pytest.mark.parametrize("grouped", [False, True], ids=["no groups", "groups"])
@pytest.mark.parametrize("world", WORLDS)
def test_blocks_threads_and_precision_do_not_change_scores_or_ties(world, grouped, threads, block, precision):
    images, captions, first = make_world(world)
    scores = score(images, captions, grouped, threads, block=block, precision=precision)
    assert_same_scores(scores, reference_scores(world, grouped), world)
    for key, uncertainty in scores.items():
        np.testing.assert_array_equal(uncertainty, uncertainty[first[key[0]]], err_msg=str(key))


@pytest.mark.parametrize("world", WORLDS)
def test_order_of_coordinates_does_not_change_scores_or_ties(world):
    images, captions, _ = make_world(world)
    order = np.random.default_rng(3).permutation(DIM)
    assert_same_scores(score(images[..., order], captions[..., order]), reference_scores(world, False), world)


def test_worlds_have_ties():
    for world in WORLDS:
        for key, uncertainty in reference_scores(world, False).items():
            if key[-1] in DISCRETE:
                assert 3 <= len(np.unique(uncertainty)) < 0.7 * len(uncertainty), (world, key)
    for direction, first in make_world("duplicates")[2].items():
        assert (first != np.arange(len(first))).sum() > 30
        # Identical items are rivals of each other under `published` only.
        assert (reference_scores("duplicates", False)[direction, "corrected", "margin"] < 1).all()
    assert (reference_scores("few values", False)["t2i", "corrected", "margin"] == 1).sum() > 3
