"""Where a query's top-1 changes: the distance to the nearest of the hyperplanes q.(g_1 - g_j) = 0, and to one of them.

    exact  = min over j of  q.(g_1 - g_j) / |g_1 - g_j|
    linear = the same for the second best item alone, with the gradient of the cosine instead of g_1 - g_j

Item j cannot be the nearest where (s_1 - s_j) / D is no less than a distance that is known already, for any D that is
at least |g_1 - g_j|. So candidates are taken in order of similarity, four times as many each time, and of these only
those that may still bind, until the first one left out proves that none of the rest can. Queries whose ranking is too
short for that proof are held against the gallery in one pass that stops only at what could still bind: seldom anything.
Distances are as good as float32 similarities: to some 1e-7 / |g_1 - g_j|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.radius.geometry import SAME, SLACK, Space
from overtop.retrieval.vectors import units_of

GROWTH = 4
"""Factor from one number of candidates to the next."""


@dataclass(frozen=True)
class Boundary:
    """How far Q unit queries are from the boundary of the region in which their top-1 stays first.

    Attributes:
        exact: (Q,) float64.
        linear: (Q,) float64.
        certified: (Q,) bool, the ranking's items prove that no other one is nearer.
    """

    exact: np.ndarray
    linear: np.ndarray
    certified: np.ndarray


def boundary(space: Space, beyond: bool = True) -> Boundary:
    """Exact and linear distance of every query.

    Args:
        space: queries, gallery and ranking.
        beyond: read the gallery where the ranking proves nothing. Without it, for the ranking of a search that may have
            missed items, `exact` is the smallest distance among the items found, never too small, and `certified`
            speaks of a gallery in which the search missed none.

    Returns:
        For unit queries; multiply by a query's length for a query of that length.
    """
    count, width = space.ranking.top_ids.shape
    found = Boundary(np.full(count, np.inf), np.full(count, np.inf), np.ones(count, dtype=bool))
    if width > 1:
        for part in blocks(count, 64 * width, MAX_ARRAY_BYTES):
            _solve(space, np.arange(part.start, part.stop), found, beyond)
    return found


def _solve(space: Space, rows: np.ndarray, found: Boundary, beyond: bool) -> None:
    """Fill in the distances of some queries."""
    items = space.ranking.top_ids[rows].astype(np.int64)
    scores = space.ranking.top_scores[rows].astype(np.float64)
    margins = scores[:, :1] - scores
    farthest = space.farthest(items[:, 0])
    found.linear[rows], nearest = _second_best(space, rows, items, margins)
    width = items.shape[1]
    start = 2
    while start < width:
        still = np.flatnonzero(margins[:, start] - SLACK < nearest * farthest)
        if not still.size:
            break
        next_ones = slice(start, min(GROWTH * start, width))
        reach = space.bound(items[still, :1], items[still, next_ones])
        at, column = np.nonzero(margins[still, next_ones] - SLACK < nearest[still, None] * reach)
        at, column = still[at], start + column
        _approach(space, nearest, rows, at, items[at, column], margins[at, column])
        start = next_ones.stop
    proved = (width == space.gallery.n_items) | (margins[:, -1] - SLACK >= nearest * farthest) | (nearest == 0.0)
    found.certified[rows] = proved
    if beyond:
        _scan(space, rows, np.flatnonzero(~proved), scores[:, 0], nearest)
    found.exact[rows] = nearest


def _second_best(
    space: Space, rows: np.ndarray, items: np.ndarray, margins: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Linear and exact distances to the second best items.

    Float32 does not say which of almost equal items is second: float64 does, and the first of them where it is equal.
    """
    at, column = np.nonzero(margins[:, 1:] <= margins[:, 1:2] + SLACK)
    column += 1
    several = np.bincount(at)[at] > 1
    margin, squared = space.pairs(rows[at], items[at, column], margins[at, column], vague=several)
    order = np.lexsort((column, margin, at))
    second = order[np.unique(at[order], return_index=True)[1]]
    margin, squared = margin[second], squared[second]
    # The gradient of a cosine by q is tangent to the sphere.
    tangent = squared - margin**2
    linear = np.where(tangent > SAME**2, margin / np.sqrt(np.maximum(tangent, SAME**2)), np.inf)
    return np.where(margin == 0.0, 0.0, linear), margin / np.sqrt(np.maximum(squared, SAME**2))


def _approach(
    space: Space, nearest: np.ndarray, rows: np.ndarray, at: np.ndarray, items: np.ndarray, margin: np.ndarray
) -> None:
    """Lower the distances `nearest`, at the places `at`, to those of the items given."""
    margin, squared = space.pairs(rows[at], items, margin)
    np.minimum.at(nearest, at, margin / np.sqrt(np.maximum(squared, SAME**2)))


def _scan(space: Space, rows: np.ndarray, still: np.ndarray, best: np.ndarray, nearest: np.ndarray) -> None:
    """Lower the distances at the places `still` to those of any item of the gallery."""
    for part in blocks(len(still), 4 * sum(space.gallery.dims), MAX_ARRAY_BYTES):
        at = still[part]
        top1 = space.top1[rows[at]]
        farthest = space.farthest(top1)
        asked = [units_of(space.queries, s, rows[at], space.device) for s in range(space.queries.n_samples)]
        for start, products in space.scan(asked):
            least = products.new_tensor(best[at] - SLACK - nearest[at] * farthest)
            found = (products > least[:, None]).nonzero(as_tuple=True)
            row, column, product = (values.cpu().numpy() for values in (*found, products[found]))
            item, margin = start + column, best[at][row] - product
            binds = (item != top1[row]) & (margin - SLACK < nearest[at][row] * space.bound(top1[row], item))
            _approach(space, nearest, rows, at[row[binds]], item[binds], margin[binds])
