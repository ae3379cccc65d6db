import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.radius.compute import compute_radii
from overtop.retrieval.approximate import search
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource
from overtop.terms import DIRECTIONS


def random_sources(seed, samples, images, texts, dims=None):
    rng = np.random.default_rng(seed)
    dims = dims or [24] * samples
    return tuple(ArraySource([1.0 + rng.normal(size=(n, dim)) for dim in dims]) for n in (images, texts))


@pytest.mark.parametrize("index", ["flat", "hnsw"])
@pytest.mark.parametrize(("samples", "dims"), [(1, None), (3, None), (2, (16, 24))])
def test_search_of_a_small_gallery_equals_rank(index, samples, dims):
    images, texts = random_sources(samples, samples, 90, 120, dims)
    groups = {"i2t": np.repeat(np.arange(40), 3)}
    searched, ranked = (search(images, texts, 10, 3, index, groups=groups), rank(images, texts, 10, 3, groups=groups))
    for direction in DIRECTIONS:
        ranking, expected = searched[direction], ranked[direction]
        assert (ranking.query_ids, ranking.gallery_ids) == (expected.query_ids, expected.gallery_ids)
        np.testing.assert_array_equal(ranking.top_ids, expected.top_ids)
        np.testing.assert_allclose(ranking.top_scores, expected.top_scores, atol=1e-6)
        np.testing.assert_array_equal(ranking.sample_top, expected.sample_top)
        np.testing.assert_array_equal(ranking.groups, expected.groups)
        np.testing.assert_array_equal(ranking.rival_ids, expected.rival_ids)
        np.testing.assert_allclose(ranking.rival_scores, expected.rival_scores, atol=1e-6)
        assert ranking.temperatures == ()
        for name in ("top_ids", "top_scores", "sample_top", "groups", "rival_ids", "rival_scores"):
            assert getattr(ranking, name).dtype == getattr(expected, name).dtype


def test_scores_equal_those_of_the_embeddings():
    images, texts = random_sources(4, 2, 200, 40)
    ranking = search(images, texts, 10, index="hnsw")["t2i"]
    embeddings = ([side.read(s, 0, side.n_items) for s in range(2)] for side in (texts, images))
    expected = np.take_along_axis(oracles.cosine_similarities(*embeddings).mean(axis=0), ranking.top_ids, axis=1)
    np.testing.assert_allclose(ranking.top_scores, expected, atol=1e-6)
    assert (np.diff(ranking.top_scores, axis=1) <= 0).all()


def test_equal_items_are_ordered_by_index():
    gallery = np.random.default_rng(5).normal(size=(6, 8))[[5, 0, 1, 0, 2, 0]]
    ranking = search(ArraySource([gallery]), ArraySource([gallery[[1]] + 0.01]), 3)["t2i"]
    assert ranking.top_ids.tolist() == [[1, 3, 5]]


def test_the_last_item_stands_for_rivals_that_a_search_did_not_find():
    gallery = np.tile(np.eye(4)[:2], (30, 1)) + np.random.default_rng(1).normal(0, 1e-3, (60, 4))
    groups = {"t2i": np.repeat(np.arange(2), 30)}
    gallery = gallery[np.argsort(np.arange(60) % 2, kind="stable")]
    ranking = search(ArraySource([gallery]), ArraySource([np.eye(4)[:1]]), 10, groups=groups)["t2i"]
    assert ranking.rival_ids.shape == (1, 1)
    assert ranking.rival_scores[0, 0] <= ranking.top_scores[0, -1]


def test_small_gallery_gives_all_its_items():
    images, texts = random_sources(6, 1, 4, 9)
    rankings = search(images, texts, top=50, vote_top=7, directions=["t2i"])
    assert list(rankings) == ["t2i"]
    assert rankings["t2i"].top_ids.shape == (9, 4)
    assert rankings["t2i"].sample_top.shape == (9, 1, 4)
    assert search(*random_sources(6, 1, 1, 9), top=50)["t2i"].top_ids.tolist() == [[0]] * 9


def test_radii_of_a_graph_search_equal_those_of_rank():
    images, texts = random_sources(7, 2, 300, 60)
    searched = search(images, texts, 60, index="hnsw", directions=["t2i"])
    approximate = compute_radii(images, texts, searched, scan_gallery=False)
    exact = compute_radii(images, texts, rank(images, texts, 60))
    np.testing.assert_allclose(approximate["t2i"].corrected.exact, exact["t2i"].corrected.exact, atol=1e-5)


def test_invalid_embedding_is_named():
    images, texts = random_sources(8, 1, 20, 5)
    embeddings = images.read(0, 0, 20)
    embeddings[3] = np.nan
    with pytest.raises(OvertopError, match="'3'"):
        search(ArraySource([embeddings]), texts, 5)


def test_sources_of_different_samples_are_an_error():
    images, texts = random_sources(8, 2, 20, 5)[0], random_sources(8, 1, 20, 5)[1]
    with pytest.raises(OvertopError, match="same encoders"):
        search(images, texts, 5)


def test_search_of_clip_embeddings_equals_rank(mirror):
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = (ArraySource([embeddings[name]]) for name in ("image", "text"))
    exact, flat, graph = rank(images, texts, 20), search(images, texts, 20), search(images, texts, 20, index="hnsw")
    for direction in DIRECTIONS:
        np.testing.assert_array_equal(flat[direction].top_ids, exact[direction].top_ids)
        assert (graph[direction].top_ids[:, 0] == exact[direction].top_ids[:, 0]).mean() > 0.98
