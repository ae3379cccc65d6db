import numpy as np
import pytest

from helpers import oracles
from overtop.radius.geometry import Space
from overtop.retrieval import vectors
from overtop.retrieval.exact import rank
from overtop.retrieval.vectors import mean_of, rescore
from overtop.storage.shards import ArraySource


def cone(rng, samples, items, spread=0.7, dims=(12, 12, 12)):
    """Samples of items around a common direction, as CLIP's are."""
    return ArraySource([1.0 + spread * rng.normal(size=(items, dim)) / np.sqrt(dim) for dim in dims[:samples]])


def joined(source):
    samples = range(source.n_samples)
    return np.concatenate([oracles.unit(source.read(s, 0, source.n_items)) for s in samples], axis=1) / np.sqrt(
        source.n_samples
    )


def measured(queries, gallery):
    return Space(queries, gallery, rank(gallery, queries, top=5)["t2i"], "cpu")


both_ways = pytest.mark.parametrize(("queries", "items"), [(40, 25), (25, 40)])


@both_ways
@pytest.mark.parametrize("spread", [0.7, 5.0])
def test_distance_bounds_hold(queries, items, spread):
    rng = np.random.default_rng(1)
    space = measured(cone(rng, 3, queries), cone(rng, 3, items, spread))
    assert (space.table is None) == (items > queries)
    vectors, every = joined(space.gallery), np.arange(items)
    distance = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    assert (space.bound(every[:, None], every) >= distance).all()
    assert (space.farthest(every) >= distance.max(axis=1)).all()
    assert spread > 1 or space.farthest(every).max() < 1.6 * distance.max()


def test_opposite_items_have_no_direction_in_common():
    gallery = ArraySource([np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])])
    space = measured(ArraySource([np.array([[1.0, 0.5]])]), gallery)
    np.testing.assert_allclose(space.farthest(np.arange(4)), 2.0)


@both_ways
def test_pairs(queries, items):
    rng = np.random.default_rng(2)
    asked, gallery = cone(rng, 2, queries, dims=(8, 12)), cone(rng, 2, items, dims=(8, 12))
    space = measured(asked, gallery)
    rows, others = rng.integers(queries, size=90), rng.integers(items, size=90)
    others[:5] = space.top1[rows[:5]]
    q, g = joined(asked), joined(gallery)
    v = g[space.top1[rows]] - g[others]
    margin, squared = (q[rows] * v).sum(axis=1), (v * v).sum(axis=1)
    for found in (space.pairs(rows, others, margin + 1e-7), space.differences(rows, others)):
        np.testing.assert_allclose(found[0], margin, atol=2e-7)
        np.testing.assert_allclose(found[1], squared, atol=2e-6)
    assert (space.pairs(rows, others, margin + 1e-7)[0][:5] == 0).all()
    np.testing.assert_allclose(space.pairs(rows, others, margin + 1e-7, np.ones(90, bool))[0], margin, atol=1e-12)
    margins, grams = space.grams(rows[:30], others.reshape(30, 3))
    v = g[space.top1[rows[:30]], None] - g[others.reshape(30, 3)]
    np.testing.assert_allclose(margins, np.einsum("bd,bkd->bk", q[rows[:30]], v), atol=1e-6)
    np.testing.assert_allclose(grams, v @ v.transpose(0, 2, 1), atol=1e-6)


def test_rescored_items_are_ranked_as_rank_does():
    rng = np.random.default_rng(3)
    asked, gallery = cone(rng, 3, 20), cone(rng, 3, 30)
    expected = rank(gallery, asked, top=30)["t2i"]
    ids, scores = rescore(asked, gallery, rng.permuted(np.tile(np.arange(30), (20, 1)), axis=1), "cpu")
    np.testing.assert_array_equal(ids, expected.top_ids)
    np.testing.assert_allclose(scores, expected.top_scores, atol=1e-6)
    one = rank(*(ArraySource([side.read(1, 0, side.n_items)]) for side in (gallery, asked)), top=30)["t2i"]
    np.testing.assert_array_equal(rescore(asked, gallery, expected.top_ids, "cpu", [1])[0], one.top_ids)


@pytest.mark.parametrize("budget", [1, 2**20])
def test_mean_in_memory_or_not(budget, monkeypatch):
    monkeypatch.setattr(vectors, "MAX_ARRAY_BYTES", budget)
    source = cone(np.random.default_rng(4), 3, 11)
    mean = mean_of(source)
    assert isinstance(mean, ArraySource) == (budget > 1)
    assert (mean.n_samples, mean.n_items, mean.dims, mean.item_ids) == (1, 11, (12,), source.item_ids)
    expected = np.mean([source.read(s, 3, 9) for s in range(3)], axis=0, dtype=np.float64)
    np.testing.assert_allclose(mean.read(0, 3, 9), expected, rtol=1e-6)
    assert mean.read(0, 3, 9).dtype == np.float32
