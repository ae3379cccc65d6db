import numpy as np
import pytest

from helpers import oracles
from overtop.radius.differences import compute_grams, compute_margins, refine_margins
from overtop.radius.geometry import Space
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource

DIMS = (8, 12)
both_gallery_sizes = pytest.mark.parametrize(("queries", "items"), [(40, 25), (25, 40)])


def random_space(queries, items):
    """Return a space of two samples around a common direction, and its queries and gallery as plain vectors."""
    rng = np.random.default_rng(2)
    sources = [
        ArraySource([1.0 + 0.7 * rng.normal(size=(n, dim)) / np.sqrt(dim) for dim in DIMS]) for n in (queries, items)
    ]
    vectors = [
        np.concatenate([oracles.normalise(source.read(s, 0, source.n_items)) for s in range(2)], axis=1) / np.sqrt(2)
        for source in sources
    ]
    ranking = rank(sources[1], sources[0], top=5)["t2i"]
    return Space(*sources, ranking, "cpu"), *vectors


def random_pairs(space, pairs=90):
    """Return rows and items of random pairs; the items of the first five are the top-1 of their queries."""
    rng = np.random.default_rng(3)
    rows = np.sort(rng.integers(space.queries.n_items, size=pairs))
    items = rng.integers(space.gallery.n_items, size=pairs)
    items[:5] = space.top1[rows[:5]]
    return rows, items


@both_gallery_sizes
def test_margins_equal_those_of_plain_vectors(queries, items):
    space, query_vectors, item_vectors = random_space(queries, items)
    rows, others = random_pairs(space)
    v = item_vectors[space.top1[rows]] - item_vectors[others]
    margins, squared = (query_vectors[rows] * v).sum(axis=1), (v * v).sum(axis=1)
    float32_margins = margins + 1e-7
    refined = refine_margins(space, rows, others, float32_margins)
    for result in (refined, compute_margins(space, rows, others)):
        np.testing.assert_allclose(result[0], margins, atol=2e-7)
        np.testing.assert_allclose(result[1], squared, atol=2e-6)
    assert (refined[0][:5] == 0).all()
    all_ambiguous = refine_margins(space, rows, others, float32_margins, np.ones(len(rows), dtype=bool))
    np.testing.assert_allclose(all_ambiguous[0], margins, atol=1e-12)


@both_gallery_sizes
def test_grams_equal_those_of_plain_vectors(queries, items):
    space, query_vectors, item_vectors = random_space(queries, items)
    rows, others = random_pairs(space)
    rows, others = rows[:30], others.reshape(30, 3)
    margins, grams = compute_grams(space, rows, others)
    v = item_vectors[space.top1[rows], None] - item_vectors[others]
    np.testing.assert_allclose(margins, np.einsum("bd,bkd->bk", query_vectors[rows], v), atol=1e-6)
    np.testing.assert_allclose(grams, v @ v.transpose(0, 2, 1), atol=1e-6)
