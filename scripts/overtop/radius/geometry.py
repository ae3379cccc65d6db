"""The space in which a radius is measured: queries and gallery items as unit vectors.

The vector of an item is its unit embeddings in all samples, concatenated and divided by sqrt(S); a product is therefore
the mean over samples of the products of the samples. The vectors are never concatenated in memory: samples are read one
at a time, and of the gallery only a block or the items that are needed.

Products are in float32. Where their rounding could matter, float64 products replace them, computed from the difference
g_1 - g_j, so that nothing cancels between items that are nearly the same.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from overtop.memory import MAX_ARRAY_BYTES
from overtop.radius.distance_bounds import AngleBounds, DistanceBounds, ProductBounds
from overtop.radius.gallery_products import compute_gallery_products
from overtop.retrieval.ranking import Ranking
from overtop.storage.shards import EmbeddingSource


@dataclass(frozen=True)
class Space:
    """Q queries, N gallery items and the ranking of the gallery for each query.

    Attributes:
        queries: embeddings of the queries.
        gallery: embeddings of the gallery.
        ranking: the best gallery items of each query.
        device: torch device of the products.
        scan_gallery: read the whole gallery for the queries whose ranking is too short to prove their distances. False
            for the ranking of an approximate search: distances are then computed among its items alone.
    """

    queries: EmbeddingSource
    gallery: EmbeddingSource
    ranking: Ranking
    device: str
    scan_gallery: bool = True

    @cached_property
    def top1(self) -> np.ndarray:
        """(Q,) int64, the best item of each query."""
        return self.ranking.top_ids[:, 0].astype(np.int64)

    @cached_property
    def groups(self) -> np.ndarray | None:
        """(N,) the group of each gallery item according to the ranking; None if no two items share one."""
        groups = self.ranking.item_groups
        return groups if len(np.unique(groups)) < len(groups) else None

    @cached_property
    def gallery_products(self) -> np.ndarray | None:
        """(N, N) float32 products of the gallery with itself; None where single pairs are cheaper."""
        size = self.gallery.n_items
        if size > self.queries.n_items or 4 * size**2 > MAX_ARRAY_BYTES:
            return None
        return compute_gallery_products(self.gallery, self.device)

    @cached_property
    def distance_bounds(self) -> DistanceBounds:
        """Upper bounds on the distances between gallery items."""
        if self.gallery_products is None:
            return AngleBounds(self.gallery, self.device)
        return ProductBounds(self.gallery_products)
