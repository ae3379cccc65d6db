"""Upper bounds on the distances between gallery items, from all their products or from one angle per item."""

from typing import Protocol

import numpy as np
import torch

from overtop.radius.gallery_products import iterate_gallery_products
from overtop.radius.tolerances import PRODUCT_ERROR
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.shards import EmbeddingSource

AXIS_ITEMS = 1024
"""Gallery items whose mean direction is the axis of `AngleBounds`, at most."""


class DistanceBounds(Protocol):
    """Upper bounds on distances between gallery items."""

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return an upper bound on the distance between gallery items, elementwise."""
        ...

    def to_farthest(self, items: np.ndarray) -> np.ndarray:
        """Return an upper bound on the distance from gallery items to any other item, elementwise."""
        ...


class ProductBounds:
    """Bounds from the products of all pairs of items, tight up to their rounding.

    Args:
        products: (N, N) float32 products of the gallery with itself.
    """

    def __init__(self, products: np.ndarray) -> None:
        self._products = products
        self._least_products = products.min(axis=1).astype(np.float64)

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return an upper bound on the distance between gallery items, elementwise."""
        squared = np.maximum(2.0 - 2.0 * self._products[first, second].astype(np.float64), 0.0)
        return np.sqrt(squared + 2.0 * PRODUCT_ERROR)

    def to_farthest(self, items: np.ndarray) -> np.ndarray:
        """Return an upper bound on the distance from gallery items to any other item, elementwise."""
        return np.sqrt(2.0 - 2.0 * self._least_products[items] + 2.0 * PRODUCT_ERROR)


class AngleBounds:
    """Bounds from the angle between each item and one axis, by the triangle inequality of angles on a sphere.

    Any axis gives valid bounds; the mean direction of the items gives tight ones, because CLIP's embeddings of one
    modality lie in a narrow cone.

    Args:
        gallery: N items.
        device: torch device of the computation.
    """

    def __init__(self, gallery: EmbeddingSource, device: str) -> None:
        self._angles = _axis_angles(gallery, device)

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return an upper bound on the distance between gallery items, elementwise."""
        return _chord_length(self._angles[first] + self._angles[second])

    def to_farthest(self, items: np.ndarray) -> np.ndarray:
        """Return an upper bound on the distance from gallery items to any other item, elementwise."""
        return _chord_length(self._angles[items] + self._angles.max())


def _axis_angles(gallery: EmbeddingSource, device: str) -> np.ndarray:
    """Return an upper bound on the angle between each item and the mean direction of the gallery, (N,) radians."""
    size = gallery.n_items
    picked = np.unique(np.linspace(0, size - 1, min(size, AXIS_ITEMS)).astype(np.int64))
    axis = [read_unit_vectors(gallery, s, picked, device).mean(dim=0) for s in range(gallery.n_samples)]
    length = torch.sqrt(sum((part @ part for part in axis), torch.zeros((), device=device)) / len(axis))
    cosines = np.full(size, -1.0)  # the bound where the items have no common direction
    if length > PRODUCT_ERROR:
        for start, products in iterate_gallery_products(gallery, [(part / length)[None] for part in axis], device):
            cosines[start : start + products.shape[1]] = products[0].cpu().numpy()
    return np.arccos(np.clip(cosines - PRODUCT_ERROR, -1.0, 1.0))


def _chord_length(angle: np.ndarray) -> np.ndarray:
    """Return the distance of two points of the unit sphere at an angle in radians."""
    return 2.0 * np.sin(np.minimum(angle, np.pi) / 2.0)
