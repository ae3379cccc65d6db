from dataclasses import replace

import numpy as np
import pytest

from helpers import oracles
from overtop.radius.geometry import Space
from overtop.radius.pgd import pgd_distances
from overtop.radius.trajectory import PgdSteps
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource


def clip_spaces(mirror):
    """Yield the space of each direction of CLIP embeddings, its queries and its gallery."""
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = ArraySource([embeddings["image"][:400]]), ArraySource([embeddings["text"][:500]])
    rankings = rank(images, texts, top=50)
    for direction, queries, gallery in (("t2i", texts, images), ("i2t", images, texts)):
        space = Space(queries, gallery, rankings[direction], "cpu")
        yield space, queries.read(0, 0, queries.n_items), gallery.read(0, 0, gallery.n_items)


@pytest.mark.parametrize("candidates", [2, 16])
def test_distances_of_clip_embeddings_equal_autograd_for_any_number_of_candidates(mirror, candidates):
    for space, queries, gallery in clip_spaces(mirror):
        float32_lengths = np.linalg.norm(queries, axis=1)
        distances = pgd_distances(space, float32_lengths, candidates=candidates)
        rows = np.arange(0, len(queries), 40)
        expected = [oracles.pgd_radius(queries[q], gallery) for q in rows]
        np.testing.assert_allclose(distances[rows], expected, atol=1e-6)


def test_distances_of_other_steps_equal_autograd(mirror):
    for space, queries, gallery in clip_spaces(mirror):
        distances = pgd_distances(space, np.ones(len(queries)), PgdSteps(0.005, 12), candidates=4)
        units = oracles.normalise(queries)[::50]
        expected = [oracles.pgd_radius(query, gallery, 0.005, 12) for query in units]
        np.testing.assert_allclose(distances[::50], expected, atol=1e-6)
        assert (distances < 0.06 * 0.9).any()
        assert (distances > 0.06 * 0.9).any()


@pytest.mark.parametrize("candidates", [2, 3, 8])
def test_distances_among_nearly_equal_items_equal_autograd(candidates):
    rng = np.random.default_rng(1)
    base = rng.normal(size=(6, 10))
    gallery = np.concatenate([base + spread * rng.normal(size=(6, 10)) for spread in (0, 1e-2, 1e-3, 1e-4)])
    queries = 3.0 * (base + 0.4 * rng.normal(size=(6, 10)))
    query_source, gallery_source = ArraySource([queries]), ArraySource([gallery])
    ranking = rank(gallery_source, query_source, top=12)["t2i"]
    space = Space(query_source, gallery_source, ranking, "cpu")
    queries, gallery = query_source.read(0, 0, 6), gallery_source.read(0, 0, 24)
    distances = pgd_distances(space, np.linalg.norm(queries, axis=1), candidates=candidates)
    np.testing.assert_allclose(distances, [oracles.pgd_radius(query, gallery) for query in queries], atol=1e-4)


@pytest.mark.parametrize("queries", [10, 40])  # fewer and more than gallery items: with and without their products
def test_rivals_outside_a_short_ranking_are_found(queries):
    rng = np.random.default_rng(3)
    n_changed = 0
    for _ in range(25):
        gallery = ArraySource([0.5 + rng.normal(size=(20, 4))])
        query_source = ArraySource([rng.uniform(1, 8) * (0.5 + rng.normal(size=(queries, 4)))])
        lengths = np.linalg.norm(query_source.read(0, 0, queries), axis=1)
        complete, short = (
            Space(query_source, gallery, rank(gallery, query_source, top=top)["t2i"], "cpu") for top in (20, 2)
        )
        expected = pgd_distances(complete, lengths)
        np.testing.assert_allclose(pgd_distances(short, lengths, candidates=2), expected, atol=1e-5)
        among_ranked = pgd_distances(replace(short, scan_gallery=False), lengths)
        n_changed += (np.abs(among_ranked - expected) > 1e-4).sum()
    assert n_changed >= 3
