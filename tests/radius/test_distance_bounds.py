import numpy as np
import pytest

from helpers import oracles
from helpers.embeddings import random_cone
from overtop.radius.distance_bounds import AngleBounds
from overtop.radius.geometry import Space
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource


@pytest.mark.parametrize(("samples", "queries", "items"), [(3, 40, 25), (3, 25, 40), (1, 40, 25)])
@pytest.mark.parametrize("spread", [0.7, 5.0])
def test_bounds_are_at_least_the_distances(samples, queries, items, spread):
    rng = np.random.default_rng(1)
    query_source, gallery = random_cone(rng, samples, queries, spread=0.7), random_cone(rng, samples, items, spread)
    space = Space(query_source, gallery, rank(gallery, query_source, top=5)["t2i"], "cpu")
    has_products = items < queries
    assert (space.gallery_products is not None) == has_products == (not isinstance(space.distance_bounds, AngleBounds))
    units = [oracles.normalise(gallery.read(s, 0, items)) for s in range(samples)]
    vectors = np.concatenate(units, axis=1) / np.sqrt(samples)
    distance = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    all_items = np.arange(items)
    assert (space.distance_bounds.between(all_items[:, None], all_items) >= distance).all()
    farthest = space.distance_bounds.to_farthest(all_items)
    assert (farthest >= distance.max(axis=1)).all()
    if spread < 1:
        assert farthest.max() < 1.6 * distance.max()


def test_angle_bounds_of_items_without_a_common_direction_are_the_diameter():
    gallery = ArraySource([np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])])
    np.testing.assert_allclose(AngleBounds(gallery, "cpu").to_farthest(np.arange(4)), 2.0)
