import numpy as np
import pytest

from helpers import oracles
from overtop.radius.differences import compute_differences, compute_grams, compute_margins
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
    for function in (compute_differences, compute_margins):
        result = function(space, rows, space.top1[rows], others)
        np.testing.assert_allclose(result[0], margins, atol=1e-14)
        np.testing.assert_allclose(result[1], squared, atol=1e-14)
    assert (result[0][:5] == 0).all()


@both_gallery_sizes
def test_differences_of_exchanged_items_are_exact_negatives(queries, items):
    space, *_ = random_space(queries, items)
    rows, others = random_pairs(space)
    top1 = space.top1[rows]
    forth, back = compute_differences(space, rows, top1, others), compute_differences(space, rows, others, top1)
    np.testing.assert_array_equal(forth[0], -back[0])
    np.testing.assert_array_equal(forth[1], back[1])


@both_gallery_sizes
def test_differences_of_a_pair_do_not_depend_on_the_other_pairs(queries, items):
    space, *_ = random_space(queries, items)
    rows, others = random_pairs(space)
    together = np.stack(compute_differences(space, rows, space.top1[rows], others))
    one_by_one = [compute_differences(space, rows[[p]], space.top1[rows[[p]]], others[[p]]) for p in range(len(rows))]
    np.testing.assert_array_equal(together, np.concatenate(one_by_one, axis=1))


@both_gallery_sizes
def test_grams_equal_those_of_plain_vectors(queries, items):
    space, query_vectors, item_vectors = random_space(queries, items)
    rows, others = random_pairs(space)
    rows, others = rows[:30], others.reshape(30, 3)
    margins, grams = compute_grams(space, rows, others)
    v = item_vectors[space.top1[rows], None] - item_vectors[others]
    np.testing.assert_allclose(margins, np.einsum("bd,bkd->bk", query_vectors[rows], v), atol=1e-6)
    np.testing.assert_allclose(grams, v @ v.transpose(0, 2, 1), atol=1e-6)
