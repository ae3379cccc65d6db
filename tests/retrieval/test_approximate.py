import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.radius.compute import radii
from overtop.retrieval.approximate import search
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource

DIRECTIONS = ("t2i", "i2t")


def sources(rng, samples, images, texts, dims=None):
    dims = dims or [24] * samples
    return tuple(ArraySource([1.0 + rng.normal(size=(n, dim)) for dim in dims]) for n in (images, texts))


@pytest.mark.parametrize("index", ["flat", "hnsw"])
@pytest.mark.parametrize(("samples", "dims"), [(1, None), (3, None), (2, (16, 24))])
def test_small_galleries_are_ranked_as_rank_does(index, samples, dims):
    images, texts = sources(np.random.default_rng(samples), samples, 90, 120, dims)
    found, expected = search(images, texts, 10, 3, index), rank(images, texts, 10, 3)
    for direction in DIRECTIONS:
        one, other = found[direction], expected[direction]
        assert (one.query_ids, one.gallery_ids) == (other.query_ids, other.gallery_ids)
        np.testing.assert_array_equal(one.top_ids, other.top_ids)
        np.testing.assert_allclose(one.top_scores, other.top_scores, atol=1e-6)
        np.testing.assert_array_equal(one.sample_top, other.sample_top)
        assert one.temperatures == ()
        for name in ("top_ids", "top_scores", "sample_top"):
            assert getattr(one, name).dtype == getattr(other, name).dtype


def test_scores_are_those_of_the_embeddings():
    images, texts = sources(np.random.default_rng(4), 2, 200, 40)
    ranking = search(images, texts, 10, index="hnsw")["t2i"]
    per_sample = oracles.similarities(*([side.read(s, 0, side.n_items) for s in range(2)] for side in (texts, images)))
    expected = np.take_along_axis(per_sample.mean(axis=0), ranking.top_ids, axis=1)
    np.testing.assert_allclose(ranking.top_scores, expected, atol=1e-6)
    assert (np.diff(ranking.top_scores, axis=1) <= 0).all()


def test_equal_items_come_by_number():
    rng = np.random.default_rng(5)
    gallery = rng.normal(size=(6, 8))[[5, 0, 1, 0, 2, 0]]
    ranking = search(ArraySource([gallery]), ArraySource([gallery[[1]] + 0.01]), 3)["t2i"]
    assert ranking.top_ids.tolist() == [[1, 3, 5]]


def test_one_direction_and_a_gallery_smaller_than_asked_for():
    images, texts = sources(np.random.default_rng(6), 1, 4, 9)
    found = search(images, texts, top=50, vote_top=7, directions=["t2i"])
    assert list(found) == ["t2i"]
    assert found["t2i"].top_ids.shape == (9, 4)
    assert found["t2i"].sample_top.shape == (9, 1, 4)
    assert search(*sources(np.random.default_rng(6), 1, 1, 9), top=50)["t2i"].top_ids.tolist() == [[0]] * 9


def test_radii_of_a_search():
    images, texts = sources(np.random.default_rng(7), 2, 300, 60)
    approximate = radii(images, texts, search(images, texts, 60, index="hnsw", directions=["t2i"]), beyond=False)
    exact = radii(images, texts, rank(images, texts, 60))
    np.testing.assert_allclose(approximate["t2i"].corrected.exact, exact["t2i"].corrected.exact, atol=1e-5)


def test_a_broken_embedding_is_named():
    images, texts = sources(np.random.default_rng(8), 1, 20, 5)
    broken = images.read(0, 0, 20)
    broken[3] = np.nan
    with pytest.raises(OvertopError, match="'3'"):
        search(ArraySource([broken]), texts, 5)
    with pytest.raises(OvertopError, match="same encoders"):
        search(sources(np.random.default_rng(8), 2, 20, 5)[0], texts, 5)


def test_real_embeddings(mirror):
    real = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = (ArraySource([real[name]]) for name in ("image", "text"))
    exact, flat, graph = rank(images, texts, 20), search(images, texts, 20), search(images, texts, 20, index="hnsw")
    for direction in DIRECTIONS:
        np.testing.assert_array_equal(flat[direction].top_ids, exact[direction].top_ids)
        assert (graph[direction].top_ids[:, 0] == exact[direction].top_ids[:, 0]).mean() > 0.98
