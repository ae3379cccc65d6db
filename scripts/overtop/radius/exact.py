"""Distance of each query from the boundary of the region in which its top-1 stays first, in closed form.

    exact = min over j of  q.(g_1 - g_j) / |g_1 - g_j|

Distances are computed in float64 from the differences of embeddings, in a fixed order of summation, and rounded to
`DISTANCE_DECIMALS`. Products in float32 decide only which pairs are computed: item j is left out where

    (s_1 - s_j - error) / D >= a distance that is already reached,    D an upper bound on |g_1 - g_j|,

so it is farther than that distance by at least (error - actual error) / D. The minimum is therefore the same whichever
pairs were computed: for any block size, number of threads or precision of the ranking. Queries whose ranking is too
short for this proof are compared with the gallery in one pass. Tests compare the distances with a plain minimum over
all items in float64.
"""

from collections.abc import Iterator

import numpy as np
import torch

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.radius.differences import compute_differences, compute_margins
from overtop.radius.gallery_products import iterate_gallery_products
from overtop.radius.geometry import Space
from overtop.radius.radii import Radius
from overtop.radius.tolerances import DISTANCE_DECIMALS, PRODUCT_ERROR, SAME_ITEM_DISTANCE
from overtop.retrieval.vectors import read_unit_vectors

ROUND_GROWTH = 4
"""Factor between the numbers of items per query of two rounds."""

PAIR_BYTES = 128
"""Memory of one pair of a query and an item while pairs are sorted."""


def boundary_distances(space: Space, groups: np.ndarray | None = None) -> Radius:
    """Return the exact distance of every query of length one; multiply it by the length of a query.

    With `space.scan_gallery` False, `exact` is the smallest distance among the items of the ranking, an upper bound on
    the distance in the whole gallery; `certified` then assumes that the ranking holds the best items.

    Args:
        space: queries, gallery and ranking.
        groups: (N,) group of each gallery item; items in the group of the top-1 do not compete with it. None: all do.
    """
    search = _NearestRivals(space, groups)
    search.compare_ranked_items()
    certified = search.is_proved()
    if space.scan_gallery:
        search.compare_gallery(np.flatnonzero(~certified))
    return Radius(search.nearest.round(DISTANCE_DECIMALS), certified, search.top1.astype(np.int32))


class _NearestRivals:
    """The search for the nearest hyperplane of every query.

    Args:
        space: queries, gallery and ranking.
        groups: as in `boundary_distances`.

    Attributes:
        top1: (Q,) int64, best items.
        nearest: (Q,) float64, smallest distance so far.
    """

    def __init__(self, space: Space, groups: np.ndarray | None) -> None:
        self._space = space
        self._groups = np.arange(space.gallery.n_items) if groups is None else groups
        self._items, self._scores = space.ranking.top_ids, space.ranking.top_scores.astype(np.float64)
        self.top1 = self._settle_top1()
        self._farthest = space.distance_bounds.to_farthest(self.top1)
        self.nearest = np.full(len(self.top1), np.inf)

    def _settle_top1(self) -> np.ndarray:
        """Return the best items, (Q,), decided in float64 where float32 similarities are too close to tell."""
        top1 = self._items[:, 0].astype(np.int64)
        # The first column is always among these.
        query, column = np.nonzero(self._scores >= self._scores[:, :1] - PRODUCT_ERROR)
        is_tied = np.bincount(query)[query] > 1
        query, column = query[is_tied], column[is_tied]
        items = self._items[query, column]
        margins, _ = compute_differences(self._space, query, top1[query], items)
        order = np.lexsort((items, margins.round(DISTANCE_DECIMALS), query))
        first = order[np.unique(query[order], return_index=True)[1]]
        top1[query[first]] = items[first]
        return top1

    def compare_ranked_items(self) -> None:
        """Reduce the distances to the smallest ones among the items of the ranking."""
        count, width = self._items.shape
        for part in blocks(count, PAIR_BYTES * width, MAX_ARRAY_BYTES):
            query = np.repeat(np.arange(part.start, part.stop), width)
            margins = self._scores[part, :1] - self._scores[part]
            self._reduce_nearest(query, self._items[part].ravel(), margins.ravel())

    def is_proved(self) -> np.ndarray:
        """Return whether the items of the ranking prove that no other item is nearer, (Q,) bool."""
        if self._items.shape[1] == self._space.gallery.n_items:
            return np.ones(len(self._items), dtype=bool)
        excluded = self._scores[:, 0] - self._scores[:, -1] - PRODUCT_ERROR >= self.nearest * self._farthest
        return excluded | (self.nearest == 0.0)

    def compare_gallery(self, queries: np.ndarray) -> None:
        """Reduce the distances of some of the queries to the smallest ones among all gallery items."""
        bytes_each = 4 * sum(self._space.gallery.dims)
        without_rival = queries[np.isinf(self.nearest[queries])]
        for part in blocks(len(without_rival), bytes_each, MAX_ARRAY_BYTES):
            self._compare_best_rivals(without_rival[part])
        queries = queries[np.isfinite(self.nearest[queries])]
        for part in blocks(len(queries), bytes_each, MAX_ARRAY_BYTES):
            self._compare_near_items(queries[part])

    def _compare_best_rivals(self, queries: np.ndarray) -> None:
        """Compare some of the queries with the item of the gallery that is most similar to each of them.

        It bounds the distances of queries whose whole ranking belongs to one group.
        """
        best, items = np.full(len(queries), -np.inf), self.top1[queries]
        for start, products in self._iterate_products(queries):
            groups = self._groups[start : start + products.shape[1]]
            is_same = self._groups[self.top1[queries], None] == groups
            products.masked_fill_(torch.as_tensor(is_same, device=products.device), -torch.inf)
            values, column = (array.cpu().numpy() for array in products.max(dim=1))
            is_better = values > best
            best[is_better], items[is_better] = values[is_better], start + column[is_better]
        self._reduce_nearest(queries, items, self._scores[queries, 0] - best)

    def _compare_near_items(self, queries: np.ndarray) -> None:
        """Compare some of the queries with the items behind those of their rankings that may be nearer."""
        scores, last = self._scores[queries, 0], self._scores[queries, -1] + PRODUCT_ERROR
        for start, products in self._iterate_products(queries):
            threshold = scores - PRODUCT_ERROR - self.nearest[queries] * self._farthest[queries]
            is_hit = products > products.new_tensor(threshold)[:, None]
            is_hit &= products <= products.new_tensor(last)[:, None]
            hits = is_hit.nonzero(as_tuple=True)
            query, column, product = (values.cpu().numpy() for values in (*hits, products[hits]))
            self._reduce_nearest(queries[query], start + column, scores[query] - product)

    def _iterate_products(self, queries: np.ndarray) -> Iterator[tuple[int, torch.Tensor]]:
        """Multiply some of the queries with the gallery, as `iterate_gallery_products` does."""
        space = self._space
        samples = range(space.queries.n_samples)
        vectors = [read_unit_vectors(space.queries, s, queries, space.device) for s in samples]
        return iterate_gallery_products(space.gallery, vectors, space.device)

    def _reduce_nearest(self, query: np.ndarray, items: np.ndarray, margins: np.ndarray) -> None:
        """Reduce the distances to those of pairs of a query and an item, nearest pairs first.

        Args:
            query: (P,) queries.
            items: (P,) gallery items; those in the group of the top-1 are ignored.
            margins: (P,) q.(g_1 - g_j) in float32 accuracy.
        """
        competes = self._groups[items] != self._groups[self.top1[query]]
        query, items, margins = query[competes], items[competes], margins[competes]
        least = (margins - PRODUCT_ERROR) / self._space.distance_bounds.between(self.top1[query], items)
        order = np.lexsort((least, query))
        query, items, least = query[order], items[order], least[order]
        position = np.arange(len(query)) - np.searchsorted(query, query)
        start, stop = 0, 1
        while True:
            possible = (position >= start) & (least < self.nearest[query])
            if not possible.any():
                return
            pair = np.flatnonzero(possible & (position < stop))
            self._compute_distances(query[pair], items[pair])
            start, stop = stop, ROUND_GROWTH * stop

    def _compute_distances(self, query: np.ndarray, items: np.ndarray) -> None:
        """Reduce the distances to those of pairs of a query and an item."""
        margins, squared = compute_margins(self._space, query, self.top1[query], items)
        np.minimum.at(self.nearest, query, margins / np.sqrt(np.maximum(squared, SAME_ITEM_DISTANCE**2)))
