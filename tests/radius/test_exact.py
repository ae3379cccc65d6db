"""Groups and ties of the exact radius."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import oracles
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.radius.compute import compute_radii
from overtop.radius.exact import boundary_distances
from overtop.radius.geometry import Space
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource


def random_source(rng, samples, items, dim=12):
    """Embeddings around a common direction, in float32."""
    return ArraySource(list((1 + rng.normal(size=(samples, items, dim)) / np.sqrt(dim)).astype(np.float32)))


def vectors_of(source):
    """Return the vectors of the corrected space."""
    samples = [oracles.normalise(source.read(s, 0, source.n_items)) for s in range(source.n_samples)]
    return np.concatenate(samples, axis=1) / np.sqrt(source.n_samples)


def grouped_radii(images, texts, groups, top, **options):
    """Return the radii of the texts when the images belong to groups."""
    ranking = rank(images, texts, top=top, groups={"t2i": np.asarray(groups)})
    return compute_radii(images, texts, {"t2i": ranking["t2i"]}, **options)["t2i"]


@pytest.mark.parametrize("top", [1, 4, 15, 60])
@pytest.mark.parametrize("samples", [1, 3])
def test_exact_distance_with_groups_equals_the_loop_over_groups(samples, top):
    rng = np.random.default_rng(samples)
    images, texts = random_source(rng, samples, 60), random_source(rng, samples, 40)
    groups = np.sort(rng.integers(8, size=60))
    radii = grouped_radii(images, texts, groups, top)
    queries, gallery = vectors_of(texts), vectors_of(images)
    expected = [oracles.exact_radius(query, gallery, groups) for query in queries]
    np.testing.assert_allclose(radii.corrected.exact, expected, atol=1e-12)
    assert (radii.corrected.exact > [oracles.exact_radius(query, gallery) for query in queries]).any()
    means = [np.mean([s.read(i, 0, s.n_items) for i in range(samples)], axis=0, dtype=float) for s in (texts, images)]
    published = [oracles.exact_radius(query, means[1]) for query in means[0]]
    np.testing.assert_allclose(radii.published.exact, published, atol=1e-6)


def test_rival_behind_a_ranking_of_one_group_is_found():
    rng = np.random.default_rng(3)
    centres = 1 + rng.normal(size=(5, 12))
    items = np.repeat(centres, 8, axis=0) + 0.02 * rng.normal(size=(40, 12))
    images, texts = ArraySource([items]), ArraySource([centres + 0.05 * rng.normal(size=(5, 12))])
    groups = np.repeat(np.arange(5), 8)
    radius = grouped_radii(images, texts, groups, top=6).corrected
    expected = [oracles.exact_radius(q, vectors_of(images), groups) for q in vectors_of(texts)]
    np.testing.assert_allclose(radius.exact, expected, atol=1e-12)
    assert not radius.certified.any()


def test_gallery_of_one_group_has_infinite_distances_and_no_uncertainty():
    rng = np.random.default_rng(4)
    images, texts = random_source(rng, 2, 30), random_source(rng, 2, 9)
    radii = grouped_radii(images, texts, np.zeros(30, dtype=int), top=5)
    assert np.isinf(radii.corrected.exact).all()
    assert radii.corrected.certified.all()
    assert np.isfinite(radii.published.exact).all()
    inputs = EstimatorInputs(rank(images, texts, top=5)["t2i"], radii)
    assert (compute_uncertainty("adversarial_exact", inputs, "corrected") == 0).all()


def test_duplicates_of_gallery_items_in_one_group_change_no_distance():
    rng = np.random.default_rng(5)
    images, texts = random_source(rng, 2, 20), random_source(rng, 2, 30)
    twice = ArraySource([np.tile(images.read(s, 0, 20), (2, 1)) for s in range(2)])
    expected = compute_radii(images, texts, rank(images, texts, top=6))["t2i"].corrected
    for top in (3, 40):
        radius = compute_radii(twice, texts, rank(twice, texts, top=top))["t2i"].corrected
        np.testing.assert_array_equal(radius.exact, expected.exact)
        np.testing.assert_array_equal(radius.top1, expected.top1)


def test_distances_among_the_ranked_items_ignore_the_group_of_the_top1():
    rng = np.random.default_rng(6)
    images, texts = random_source(rng, 2, 50), random_source(rng, 2, 30)
    groups = np.sort(rng.integers(10, size=50))
    ranking = rank(images, texts, top=9)["t2i"]
    radius = grouped_radii(images, texts, groups, top=9, scan_gallery=False).corrected
    gallery = vectors_of(images)
    rows = zip(vectors_of(texts), ranking.top_ids, strict=True)
    expected = [oracles.exact_radius(query, gallery[ids], groups[ids]) for query, ids in rows]
    np.testing.assert_allclose(radius.exact, expected, atol=1e-12)


@pytest.fixture(scope="module")
def with_duplicates():
    """Images and texts of three samples; the last 15 of each are copies of the first ones."""
    rng = np.random.default_rng(7)
    sources = random_source(rng, 3, 60, dim=24), random_source(rng, 3, 90, dim=24)
    return [
        ArraySource([np.concatenate([s.read(i, 0, s.n_items), s.read(i, 0, 15)]) for i in range(3)]) for s in sources
    ]


@pytest.mark.parametrize(
    ("options", "threads"),
    [({"block": 7}, 2), ({"precision": "bfloat16"}, 1), ({"top": 4}, 2), ({"resident": 3000}, 1)],
)
def test_distances_do_not_depend_on_the_computation_of_the_ranking(with_duplicates, options, threads):
    expected = compute_radii(*with_duplicates, rank(*with_duplicates, top=20))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        radii = compute_radii(*with_duplicates, rank(*with_duplicates, **{"top": 20} | options))
    finally:
        torch.set_num_threads(before)
    for direction in expected:
        for protocol in ("published", "corrected"):
            one, other = (result[direction].under(protocol) for result in (radii, expected))
            np.testing.assert_array_equal(one.exact, other.exact)
            np.testing.assert_array_equal(one.top1, other.top1)


def test_equal_queries_have_equal_distances(with_duplicates):
    images, texts = with_duplicates
    exact = compute_radii(images, texts, rank(images, texts, top=5))["t2i"].corrected.exact
    np.testing.assert_array_equal(exact[90:], exact[:15])
    assert (exact > 0).all()


def test_queries_of_equal_geometry_have_equal_distances():
    rng = np.random.default_rng(8)
    items, queries = rng.normal(size=(30, 16)), rng.normal(size=(200, 16))
    order = rng.permutation(16)  # permuted coordinates: the same lengths and angles, summed in another order
    for top in (3, 30):
        one, other = (
            boundary_distances(Space(texts, images, rank(images, texts, top=top)["t2i"], "cpu")).exact
            for images, texts in (
                (ArraySource([items]), ArraySource([queries])),
                (ArraySource([items[:, order]]), ArraySource([queries[:, order]])),
            )
        )
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("swapped", [False, True])
def test_top1_closer_than_float32_resolves_is_decided_in_float64(swapped):
    images = ArraySource([np.array([[0.8, 0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]])])
    texts = ArraySource([np.array([[1.0, 1.0 + 2.0**-23, 0.1]])])
    ranking = rank(images, texts, top=3)["t2i"]
    ids, scores = ranking.top_ids.copy(), ranking.top_scores.copy()
    ids[0, :2], scores[0, :2] = ([0, 1] if swapped else [1, 0]), scores[0, 0]
    radius = boundary_distances(Space(texts, images, replace(ranking, top_ids=ids, top_scores=scores), "cpu"))
    query, gallery = vectors_of(texts)[0], vectors_of(images)
    assert radius.top1.tolist() == [1]
    assert 0 < radius.exact[0] < 1e-7
    assert radius.exact[0] == pytest.approx(oracles.exact_radius(query, gallery), abs=2e-12)
