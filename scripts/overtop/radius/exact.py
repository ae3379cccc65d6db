"""Distance of each query from the boundary of the region in which its top-1 stays first, in closed form.

    exact = min over j of  q.(g_1 - g_j) / |g_1 - g_j|

Products in float32 give bounds on the distance of each item, and only items whose lower bound is at most the least
upper bound of a query are computed: in float64, from the differences of embeddings, in a fixed order of summation,
rounded to `DISTANCE_DECIMALS`. All others are farther, since `PRODUCT_ERROR` exceeds the actual error of the products.
The minimum is therefore the same whichever pairs were computed: for any block size, number of threads or precision of
the ranking.

Items that cannot be near by an upper bound on |g_1 - g_j| are left out beforehand. Queries whose ranking is too short
to prove by this bound that no other item is nearer are compared with the gallery in one pass. Tests compare the
distances with a plain minimum over all items in float64.
"""

from collections.abc import Iterator

import numpy as np
import torch

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.radius.differences import compute_differences, compute_margins, squared_distances
from overtop.radius.gallery_products import iterate_gallery_products
from overtop.radius.geometry import Space
from overtop.radius.radii import Radius
from overtop.radius.tolerances import DISTANCE_DECIMALS, PRODUCT_ERROR, SAME_ITEM_DISTANCE
from overtop.retrieval.vectors import read_unit_vectors

FIRST_ITEMS = 4
"""Number of items per query whose distances are bounded before those of all others."""

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
        nearest: (Q,) float64, smallest distance among the pairs settled so far.
    """

    def __init__(self, space: Space, groups: np.ndarray | None) -> None:
        self._space = space
        self._groups = np.arange(space.gallery.n_items) if groups is None else groups
        self._items, self._scores = space.ranking.top_ids, space.ranking.top_scores.astype(np.float64)
        self.top1 = self._settle_top1()
        self._farthest = space.distance_bounds.to_farthest(self.top1)
        self.nearest = np.full(len(self.top1), np.inf)
        self._upper_bound = self.nearest.copy()
        self._pending: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

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
        """Reduce the distances to the smallest ones among the items of the ranking and the best rivals."""
        ranking = self._space.ranking
        items, scores = self._items, self._scores
        if len(ranking.rival_ids):
            items = np.concatenate([items, ranking.rival_ids], axis=1)
            scores = np.concatenate([scores, ranking.rival_scores], axis=1)
        count, width = items.shape
        for part in blocks(count, PAIR_BYTES * width, MAX_ARRAY_BYTES):
            query = np.repeat(np.arange(part.start, part.stop), width)
            self._add_pairs(query, items[part].ravel(), (scores[part, :1] - scores[part]).ravel())
            self._settle_pairs()

    def is_proved(self) -> np.ndarray:
        """Return whether the items of the ranking prove that no other item is nearer, (Q,) bool."""
        is_single_group = (self._groups == self._groups[0]).all()
        if is_single_group or self._items.shape[1] == self._space.gallery.n_items:
            return np.ones(len(self._items), dtype=bool)
        excluded = self._scores[:, 0] - self._scores[:, -1] - PRODUCT_ERROR >= self.nearest * self._farthest
        return excluded | (self.nearest == 0.0)

    def compare_gallery(self, queries: np.ndarray) -> None:
        """Reduce the distances of some of the queries to the smallest ones among all gallery items."""
        for part in blocks(len(queries), 4 * sum(self._space.gallery.dims), MAX_ARRAY_BYTES):
            self._compare_near_items(queries[part])

    def _compare_near_items(self, queries: np.ndarray) -> None:
        """Compare some of the queries with the items behind those of their rankings that may be nearer."""
        scores, last = self._scores[queries, 0], self._scores[queries, -1] + PRODUCT_ERROR
        threshold = scores - PRODUCT_ERROR - self.nearest[queries] * self._farthest[queries]
        hits: list[tuple[np.ndarray, ...]] = []
        for start, products in self._iterate_products(queries):
            is_hit = products > products.new_tensor(threshold)[:, None]
            is_hit &= products <= products.new_tensor(last)[:, None]
            positions = is_hit.nonzero(as_tuple=True)
            query, column, product = (values.cpu().numpy() for values in (*positions, products[positions]))
            hits.append((queries[query], start + column, scores[query] - product))
            if sum(len(query) for query, *_ in hits) * PAIR_BYTES > MAX_ARRAY_BYTES:
                self._add_pairs(*map(np.concatenate, zip(*hits, strict=True)))
                hits.clear()
        if hits:
            self._add_pairs(*map(np.concatenate, zip(*hits, strict=True)))
        self._settle_pairs()

    def _iterate_products(self, queries: np.ndarray) -> Iterator[tuple[int, torch.Tensor]]:
        """Multiply some of the queries with the gallery, as `iterate_gallery_products` does."""
        space = self._space
        samples = range(space.queries.n_samples)
        vectors = [read_unit_vectors(space.queries, s, queries, space.device) for s in samples]
        return iterate_gallery_products(space.gallery, vectors, space.device)

    def _add_pairs(self, query: np.ndarray, items: np.ndarray, margins: np.ndarray) -> None:
        """Bound the distances of pairs of a query and an item, and keep those that may be the smallest of their query.

        Args:
            query: (P,) queries.
            items: (P,) gallery items; those in the group of the top-1 are ignored.
            margins: (P,) q.(g_1 - g_j) in float32 accuracy.
        """
        top1 = self.top1[query]
        least = (margins - PRODUCT_ERROR) / self._space.distance_bounds.between(top1, items)
        possible = (self._groups[items] != self._groups[top1]) & (least <= self._upper_bound[query])
        order = np.flatnonzero(possible)[np.lexsort((least[possible], query[possible]))]
        query, items, margins, least = query[order], items[order], margins[order], least[order]
        is_first = np.arange(len(query)) - np.searchsorted(query, query) < FIRST_ITEMS
        for selected in (is_first, ~is_first):
            pair = np.flatnonzero(selected & (least <= self._upper_bound[query]))
            self._bound_distances(query[pair], items[pair], margins[pair])

    def _bound_distances(self, query: np.ndarray, items: np.ndarray, margins: np.ndarray) -> None:
        """Bound the distances of pairs by their |g_1 - g_j| in float32; arguments as in `_add_pairs`."""
        squared = squared_distances(self._space, self.top1[query], items)
        lower = (margins - PRODUCT_ERROR) / np.sqrt(np.maximum(squared, 0.0) + 2.0 * PRODUCT_ERROR)
        least_squared = squared - 2.0 * PRODUCT_ERROR
        is_bounded = least_squared > 0.0
        upper = (margins[is_bounded] + PRODUCT_ERROR) / np.sqrt(least_squared[is_bounded])
        np.minimum.at(self._upper_bound, query[is_bounded], upper)
        self._pending.append((query, items, lower))

    def _settle_pairs(self) -> None:
        """Compute the distances of the pairs kept by `_add_pairs` whose lower bounds are small enough, in float64."""
        if not self._pending:
            return
        query, items, lower = map(np.concatenate, zip(*self._pending, strict=True))
        self._pending.clear()
        pair = np.flatnonzero(lower <= self._upper_bound[query])
        pair = pair[np.argsort(query[pair], kind="stable")]
        query, items = query[pair], items[pair]
        margins, squared = compute_margins(self._space, query, self.top1[query], items)
        np.minimum.at(self.nearest, query, margins / np.sqrt(np.maximum(squared, SAME_ITEM_DISTANCE**2)))
        np.minimum(self._upper_bound, self.nearest, out=self._upper_bound)
