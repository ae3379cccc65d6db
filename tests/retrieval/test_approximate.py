import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.radius.compute import compute_radii
from overtop.retrieval.approximate import SPARE_ITEMS, search
from overtop.retrieval.exact import rank
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.truncated import entropy_interval, probability_interval
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
        assert (ranking.log_partition.shape, ranking.truncation_bound.shape) == ((len(ranking.query_ids), 0),) * 2
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


TEMPERATURES = (0.01, 0.07, 1.0)
SUMS = ("log_partition", "mean_gap", "group_log_partition", "group_entropy")


def normalisations_of(images, texts, temperature=0.02):
    """Random offsets of both galleries, equal for equal items."""
    rng = np.random.default_rng(0)
    directions = {"t2i": images, "i2t": texts}
    return {
        direction: Normalisation(
            temperature,
            {
                name: (side.read(0, 0, side.n_items) @ rng.normal(0, 0.02, side.dims[0])).astype(np.float32)
                for name in "ab"
            },
        )
        for direction, side in directions.items()
    }


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_sums_over_all_items_equal_those_of_rank_and_have_a_bound_of_zero(index):
    images, texts = random_sources(9, 2, 60, 75)
    arguments = {
        "temperatures": [0.07, 0.01, 1.0],
        "groups": {"i2t": np.repeat(np.arange(25), 3)},
        "normalisations": normalisations_of(images, texts),
    }
    searched, ranked = search(images, texts, 80, index=index, **arguments), rank(images, texts, 80, **arguments)
    for direction in DIRECTIONS:
        ranking, expected = searched[direction], ranked[direction]
        assert ranking.temperatures == expected.temperatures == TEMPERATURES
        for name in SUMS:
            values = getattr(ranking, name)
            np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-4, atol=1e-7)
            assert (values.dtype, values.shape) == (np.float64, (len(ranking.query_ids), 3))
        np.testing.assert_array_equal(ranking.truncation_bound, 0.0)
        assert list(ranking.normalised) == list(expected.normalised) == ["a", "b"]
        for name, normalised in ranking.normalised.items():
            of_rank = expected.normalised[name]
            np.testing.assert_allclose(normalised.neg_log_probability, of_rank.neg_log_probability, rtol=1e-3)
            np.testing.assert_array_equal(normalised.top_ids, of_rank.top_ids)
            assert normalised.top_ids.dtype == of_rank.top_ids.dtype
            np.testing.assert_array_equal(normalised.truncation_bound, 0.0)
            assert of_rank.truncation_bound is None
        assert expected.truncation_bound.size == 0


def assert_within_bounds(ranking, expected, n_not_found, tolerance):
    """The exact sums are not outside the bounds of a search, at any temperature and under any normalisation."""
    for column, temperature in enumerate(expected.temperatures):
        bound = ranking.truncation_bound[:, column]
        growth = expected.log_partition[:, column] - ranking.log_partition[:, column]
        assert (growth >= -tolerance).all()
        assert (growth <= bound + tolerance).all()
        for protocol in ("published", "corrected"):
            found, whole = (each.softmax_at(temperature, protocol) for each in (ranking, expected))
            low, high = probability_interval(found.neg_log_probability, bound, is_complete=protocol == "published")
            assert (low - tolerance <= np.exp(-whole.neg_log_probability)).all()
            assert (np.exp(-whole.neg_log_probability) <= high + tolerance).all()
            low, high = entropy_interval(found.entropy, bound, n_not_found)
            assert (low - tolerance <= whole.entropy).all()
            assert (whole.entropy <= high + tolerance).all()
    for name, normalised in ranking.normalised.items():
        low, high = probability_interval(normalised.neg_log_probability, normalised.truncation_bound)
        whole = np.exp(-expected.normalised[name].neg_log_probability)
        assert (low - tolerance <= whole).all()
        assert (whole <= high + tolerance).all()


def test_sums_of_the_whole_gallery_are_within_the_bounds():
    """Every item occurs twice, and three captions belong to each image."""
    sides = (np.repeat(side.read(0, 0, side.n_items), 2, axis=0) for side in random_sources(10, 1, 150, 240))
    images, texts = (ArraySource([rows]) for rows in sides)
    arguments = {
        "temperatures": TEMPERATURES,
        "groups": {"i2t": np.repeat(np.arange(80), 6)},
        "normalisations": normalisations_of(images, texts),
    }
    searched, ranked = search(images, texts, 10, **arguments), rank(images, texts, 10, **arguments)
    for direction, n_gallery in (("t2i", 300), ("i2t", 480)):
        assert_within_bounds(searched[direction], ranked[direction], n_gallery - 10 - SPARE_ITEMS, 1e-5)


def test_one_item_gallery_is_certain():
    images, texts = random_sources(6, 1, 1, 9)
    ranking = search(images, texts, 50, temperatures=[0.01], normalisations=normalisations_of(images, texts))["t2i"]
    for name in (*SUMS, "truncation_bound"):
        np.testing.assert_array_equal(getattr(ranking, name), np.zeros((9, 1)))
    for normalised in ranking.normalised.values():
        np.testing.assert_array_equal(normalised.neg_log_probability, np.zeros(9))
        np.testing.assert_array_equal(normalised.truncation_bound, np.zeros(9))


def test_bound_is_attained_where_all_other_items_are_copies_of_the_last():
    """A query, items in descending order, and so many copies of the last one that the search cannot return them all."""
    angles = np.append(np.linspace(0, 0.5, 12), np.full(60, 0.6))
    gallery = ArraySource([np.stack([np.cos(angles), np.sin(angles)], axis=1)])
    query = ArraySource([np.array([[1.0, 0.0]])])
    searched, ranked = (
        method(gallery, query, 10, temperatures=TEMPERATURES, directions=["t2i"])["t2i"] for method in (search, rank)
    )
    assert (searched.truncation_bound > 1e-10).all()
    np.testing.assert_allclose(searched.log_partition + searched.truncation_bound, ranked.log_partition, rtol=1e-4)


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_sums_of_clip_embeddings_are_within_the_bounds(mirror, index):
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = (ArraySource([embeddings[name]]) for name in ("image", "text"))
    arguments = {"temperatures": [0.01, 0.07], "normalisations": normalisations_of(images, texts, 0.01)}
    searched, ranked = search(images, texts, 50, index=index, **arguments), rank(images, texts, 50, **arguments)
    for direction in DIRECTIONS:
        n_not_found = len(ranked[direction].gallery_ids) - 50 - SPARE_ITEMS
        assert_within_bounds(searched[direction], ranked[direction], n_not_found, 1e-4)
