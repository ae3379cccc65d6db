"""Distance of each query from the boundary of the region in which its top-1 stays first, in closed form.

    exact  = min over j of  q.(g_1 - g_j) / |g_1 - g_j|
    linear = the same for the second best item alone, with the gradient of the cosine instead of g_1 - g_j

Item j cannot be the nearest where (s_1 - s_j) / D is at least a distance that is already reached, for any upper bound D
on |g_1 - g_j|. Items are therefore taken in order of similarity, four times as many in each round, and of these only
those that this bound does not exclude, until the first item left out proves that all further ones are excluded. Queries
whose ranking is too short for this proof are compared with the gallery in one pass, in which the bound leaves few items
to compute. Distances are as accurate as float32 similarities: to about 1e-7 / |g_1 - g_j|. Tests compare them with a
plain minimum over all items in float64.
"""

from dataclasses import dataclass

import numpy as np

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.radius.differences import refine_margins
from overtop.radius.gallery_products import iterate_gallery_products
from overtop.radius.geometry import Space
from overtop.radius.tolerances import PRODUCT_ERROR, SAME_ITEM_DISTANCE
from overtop.retrieval.vectors import read_unit_vectors

ROUND_GROWTH = 4
"""Factor between the numbers of items of two rounds."""


@dataclass(frozen=True)
class BoundaryDistances:
    """Distances of Q queries of length one from the boundary of the region of their top-1.

    Attributes:
        exact: (Q,) float64, distance from the nearest hyperplane between the top-1 and another item.
        linear: (Q,) float64, Eq. 14 for the second best item.
        certified: (Q,) bool, whether the items of the ranking prove that no other item is nearer.
    """

    exact: np.ndarray
    linear: np.ndarray
    certified: np.ndarray


def boundary_distances(space: Space) -> BoundaryDistances:
    """Return the exact and the linear distance of every query.

    With `space.scan_gallery` False, `exact` is the smallest distance among the items of the ranking, an upper bound on
    the distance in the whole gallery; `certified` then assumes that the ranking holds the best items.

    Args:
        space: queries, gallery and ranking.

    Returns:
        Distances for queries of length one; multiply them by the length of a query.
    """
    count, width = space.ranking.top_ids.shape
    result = BoundaryDistances(np.full(count, np.inf), np.full(count, np.inf), np.ones(count, dtype=bool))
    if width == 1:
        return result
    for part in blocks(count, 64 * width, MAX_ARRAY_BYTES):
        search = _NearestRivals(space, np.arange(part.start, part.stop))
        result.linear[part] = search.compare_second_best()
        search.compare_ranked_items()
        result.certified[part] = search.is_proved()
        if space.scan_gallery:
            search.compare_gallery(np.flatnonzero(~result.certified[part]))
        result.exact[part] = search.nearest
    return result


class _NearestRivals:
    """The search for the nearest hyperplane of B queries.

    Args:
        space: queries, gallery and ranking.
        rows: (B,) queries.

    Attributes:
        nearest: (B,) float64, smallest distance so far.
    """

    def __init__(self, space: Space, rows: np.ndarray) -> None:
        scores = space.ranking.top_scores[rows].astype(np.float64)
        self._space, self._rows = space, rows
        self._items = space.ranking.top_ids[rows].astype(np.int64)
        self._top1_scores = scores[:, 0]
        self._margins = scores[:, :1] - scores
        self._farthest = space.distance_bounds.to_farthest(self._items[:, 0])
        self.nearest = np.full(len(rows), np.inf)

    def compare_second_best(self) -> np.ndarray:
        """Set the distances to those of the second best items, and return their linear distances, (B,).

        Which of several almost equal items is second is decided in float64, and by their order where they are equal.
        """
        query, column = np.nonzero(self._margins[:, 1:] <= self._margins[:, 1:2] + PRODUCT_ERROR)
        column += 1
        ambiguous = np.bincount(query)[query] > 1
        margins, squared = refine_margins(
            self._space, self._rows[query], self._items[query, column], self._margins[query, column], ambiguous
        )
        order = np.lexsort((column, margins, query))
        second = order[np.unique(query[order], return_index=True)[1]]
        margins, squared = margins[second], squared[second]
        self.nearest = margins / np.sqrt(np.maximum(squared, SAME_ITEM_DISTANCE**2))
        # The gradient of a cosine with respect to the query is tangent to the sphere.
        tangent = squared - margins**2
        linear = np.where(
            tangent > SAME_ITEM_DISTANCE**2, margins / np.sqrt(np.maximum(tangent, SAME_ITEM_DISTANCE**2)), np.inf
        )
        return np.where(margins == 0.0, 0.0, linear)

    def compare_ranked_items(self) -> None:
        """Reduce the distances to the smallest ones among the items of the ranking."""
        width = self._items.shape[1]
        start = 2
        while start < width:
            active = np.flatnonzero(self._margins[:, start] - PRODUCT_ERROR < self.nearest * self._farthest)
            if not active.size:
                return
            columns = slice(start, min(ROUND_GROWTH * start, width))
            bound = self._space.distance_bounds.between(self._items[active, :1], self._items[active, columns])
            possible = self._margins[active, columns] - PRODUCT_ERROR < self.nearest[active, None] * bound
            position, column = np.nonzero(possible)
            query, column = active[position], start + column
            self._reduce_nearest(query, self._items[query, column], self._margins[query, column])
            start = columns.stop

    def is_proved(self) -> np.ndarray:
        """Return whether the items of the ranking prove that no other item is nearer, (B,) bool."""
        if self._items.shape[1] == self._space.gallery.n_items:
            return np.ones(len(self._rows), dtype=bool)
        excluded = self._margins[:, -1] - PRODUCT_ERROR >= self.nearest * self._farthest
        return excluded | (self.nearest == 0.0)

    def compare_gallery(self, queries: np.ndarray) -> None:
        """Reduce the distances of some of the queries to the smallest ones among all gallery items."""
        for part in blocks(len(queries), 4 * sum(self._space.gallery.dims), MAX_ARRAY_BYTES):
            self._compare_gallery_block(queries[part])

    def _compare_gallery_block(self, queries: np.ndarray) -> None:
        """`compare_gallery` for a number of queries whose vectors fit in memory."""
        space, rows, scores = self._space, self._rows[queries], self._top1_scores[queries]
        top1 = space.top1[rows]
        farthest = space.distance_bounds.to_farthest(top1)
        vectors = [read_unit_vectors(space.queries, s, rows, space.device) for s in range(space.queries.n_samples)]
        for start, products in iterate_gallery_products(space.gallery, vectors, space.device):
            threshold = products.new_tensor(scores - PRODUCT_ERROR - self.nearest[queries] * farthest)
            hits = (products > threshold[:, None]).nonzero(as_tuple=True)
            query, column, product = (values.cpu().numpy() for values in (*hits, products[hits]))
            items, margins = start + column, scores[query] - product
            bound = space.distance_bounds.between(top1[query], items)
            possible = (items != top1[query]) & (margins - PRODUCT_ERROR < self.nearest[queries][query] * bound)
            self._reduce_nearest(queries[query[possible]], items[possible], margins[possible])

    def _reduce_nearest(self, queries: np.ndarray, items: np.ndarray, margins: np.ndarray) -> None:
        """Reduce the distances to those of some items, each given with its query and its float32 margin."""
        margins, squared = refine_margins(self._space, self._rows[queries], items, margins)
        np.minimum.at(self.nearest, queries, margins / np.sqrt(np.maximum(squared, SAME_ITEM_DISTANCE**2)))
