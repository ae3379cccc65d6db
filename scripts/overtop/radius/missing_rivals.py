"""Gallery items outside the candidates that are ahead of the rival at a point of a PGD trajectory.

Every point is x = a q - sum over the rivals i so far of b_i v_i, with v_i = g_1 - g_i, and a and b_i grow from step to
step. Therefore x.g_j, for an item j whose product with the query is at most s, is never above

    a s + sum of b_i max(-v_i.g_j, 0)    at the last point.

The few items for which this bound reaches the rival are compared with it at every point.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from overtop.memory import CACHE_BYTES, MAX_ARRAY_BYTES, blocks
from overtop.radius.candidates import NO_ITEM
from overtop.radius.gallery_products import iterate_gallery_products
from overtop.radius.geometry import Space
from overtop.radius.tolerances import PRODUCT_ERROR
from overtop.radius.trajectory import Trajectories
from overtop.retrieval.vectors import UnitVectors


@dataclass(frozen=True)
class TrajectoryBatch:
    """B queries and their trajectories among their candidates.

    Attributes:
        rows: (B,) ascending queries.
        lengths: (B,) their lengths.
        outside_scores: (B,) upper bounds on the products of the queries, at length one, with other items.
        rivals: (B, K) candidates, or `NO_ITEM`.
        trajectories: of the queries.
    """

    rows: np.ndarray
    lengths: np.ndarray
    outside_scores: np.ndarray
    rivals: np.ndarray
    trajectories: Trajectories

    def select(self, queries: np.ndarray) -> Self:
        """Return some of the queries, by their positions."""
        return type(self)(
            self.rows[queries],
            self.lengths[queries],
            self.outside_scores[queries],
            self.rivals[queries],
            self.trajectories.select(queries),
        )

    def unproved_points(self) -> np.ndarray:
        """Return the points at which an item outside the candidates may be ahead of the rival, (T, B) bool."""
        reach = self.lengths * self.outside_scores + self.trajectories.distance
        return (self.trajectories.rival != NO_ITEM) & (self.trajectories.rival_product < reach)


def find_missing_rivals(space: Space, batch: TrajectoryBatch) -> np.ndarray:
    """Return the best item outside the candidates that is ahead of the rival at each point, or `NO_ITEM`, (T, B)."""
    missing = np.full(batch.trajectories.rival.shape, NO_ITEM)
    queries = np.flatnonzero(batch.unproved_points().any(axis=0))
    max_pairs = max(1, MAX_ARRAY_BYTES // (8 * sum(space.gallery.dims)))
    rival = batch.trajectories.rival[:, queries]
    pairs_per_query = 1 + (rival[1:] != rival[:-1]).sum(axis=0)  # at least the number of distinct rivals
    part_of_query = np.cumsum(pairs_per_query) // max_pairs
    for part in np.split(queries, np.flatnonzero(np.diff(part_of_query)) + 1):
        if part.size:
            missing[:, part] = _Search(space, batch.select(part)).run()
    return missing


class _Search:
    """The search for missing rivals of B queries with P pairs of a query and one of its rivals.

    Args:
        space: queries and gallery.
        batch: the queries and their trajectories.
    """

    def __init__(self, space: Space, batch: TrajectoryBatch) -> None:
        trajectories = batch.trajectories
        self._space, self._batch = space, batch
        self._is_unproved = batch.unproved_points()
        self._error = PRODUCT_ERROR * (batch.lengths + trajectories.distance)
        step, query = np.nonzero(trajectories.rival != NO_ITEM)
        codes = query * space.gallery.n_items + trajectories.rival[step, query]
        distinct, pair = np.unique(codes, return_inverse=True)
        self._query_of_pair, self._rival_of_pair = np.divmod(distinct, space.gallery.n_items)
        pair_of_step = np.full(trajectories.rival.shape, NO_ITEM)
        pair_of_step[step, query] = pair
        self._a, self._b = self._expand_points(pair_of_step)

    def _expand_points(self, pair_of_step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the factors of the query, (T, B), and of the v_i of all pairs, (T, P), at all points."""
        scale, shrink = self._batch.trajectories.scale, self._batch.trajectories.shrink
        a, b = np.zeros(scale.shape), np.zeros((len(scale), len(self._query_of_pair)))
        a[0] = 1.0
        for t in range(1, len(scale)):
            a[t] = scale[t - 1] * a[t - 1]
            b[t] = scale[t - 1, self._query_of_pair] * b[t - 1]
            moved = np.flatnonzero(pair_of_step[t - 1] != NO_ITEM)
            b[t, pair_of_step[t - 1, moved]] += shrink[t - 1, moved]
        return a, b

    def run(self) -> np.ndarray:
        """Return the best missing rival at each point, or `NO_ITEM`, (T, B)."""
        missing = np.full(self._is_unproved.shape, NO_ITEM)
        best = np.full(self._is_unproved.shape, -np.inf)
        for query, items, products in self._iterate_hits():
            for part in blocks(len(query), 8 * len(best) * (1 + products.shape[1]), MAX_ARRAY_BYTES // 4):
                values = self._multiply_points(query[part], items[part], products[part])
                least = self._batch.trajectories.rival_product - self._error
                step, hit = np.nonzero(self._is_unproved[:, query[part]] & (values > least[:, query[part]]))
                value, column, item = values[step, hit], query[part][hit], items[part][hit]
                order = np.argsort(value, kind="stable")  # the last assignment to an element counts
                order = order[value[order] > best[step[order], column[order]]]
                best[step[order], column[order]] = value[order]
                missing[step[order], column[order]] = item[order]
        return missing

    def _iterate_hits(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield pairs of a query and an item outside its candidates that may be ahead of the rival.

        Yields:
            (H,) positions of queries, (H,) gallery items and (H, R) products v_i.g_j with the v_i of the query.
        """
        batch, last = self._batch, len(self._a) - 1 - self._is_unproved[::-1].argmax(axis=0)
        queries = np.arange(len(last))
        least = np.where(self._is_unproved, batch.trajectories.rival_product, np.inf).min(axis=0)
        own = self._a[last, queries] * batch.lengths * np.maximum(batch.outside_scores, 0.0)
        excluded = np.concatenate([self._space.top1[batch.rows, None], batch.rivals], axis=1)
        device = self._space.device
        pair_query = torch.as_tensor(self._query_of_pair, device=device)
        factor = _as_column(self._b[last[self._query_of_pair], np.arange(len(pair_query))], device)
        threshold = _as_column(least - own - self._error[last, queries], device)
        first = np.searchsorted(self._query_of_pair, queries)
        counts = np.bincount(self._query_of_pair, minlength=len(queries))
        pairs = first[:, None] + np.minimum(np.arange(counts.max()), counts[:, None] - 1)
        for start, products in self._iterate_products():
            gain = torch.zeros(len(queries), products.shape[1], device=device)
            gain.index_add_(0, pair_query, products.neg().clamp_(min=0.0).mul_(factor))
            position, column = np.nonzero((excluded >= start) & (excluded < start + products.shape[1]))
            gain[position, excluded[position, column] - start] = -torch.inf
            query, item = (values.cpu().numpy() for values in (gain > threshold).nonzero(as_tuple=True))
            if query.size:
                yield query, start + item, products[pairs[query], item[:, None]].cpu().numpy()

    def _multiply_points(self, query: np.ndarray, items: np.ndarray, products: np.ndarray) -> np.ndarray:
        """Return the products of all points of some queries with one item each, (T, H)."""
        lengths = self._batch.lengths[query]
        values = self._a[:, query] * lengths * _multiply_pairs(self._space, self._batch.rows[query], items)
        first = np.searchsorted(self._query_of_pair, query)
        for number in range(products.shape[1]):
            pair = np.minimum(first + number, len(self._query_of_pair) - 1)
            belongs = self._query_of_pair[pair] == query
            values -= np.where(belongs, self._b[:, pair] * products[:, number], 0.0)
        return values

    def _iterate_products(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Multiply the v_i of all pairs with the gallery, as `iterate_gallery_products` does."""
        space = self._space
        top1, rivals = space.top1[self._batch.rows[self._query_of_pair]], self._rival_of_pair
        if space.gallery_products is None:
            ends = [UnitVectors(space.gallery, s, np.stack([top1, rivals]), space.device) for s in _samples(space)]
            yield from iterate_gallery_products(space.gallery, [unit[0] - unit[1] for unit in ends], space.device)
            return
        for part in blocks(space.gallery.n_items, 4 * len(rivals), MAX_ARRAY_BYTES // 4):
            products = space.gallery_products[top1, part] - space.gallery_products[rivals, part]
            yield part.start, torch.as_tensor(products, device=space.device)


def _multiply_pairs(space: Space, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the products of pairs of a query of length one and an item, (H,) float32."""
    total = torch.zeros(len(rows), device=space.device)
    for s in _samples(space):
        queries = UnitVectors(space.queries, s, rows, space.device)
        gallery = UnitVectors(space.gallery, s, items, space.device)
        for block in blocks(len(rows), 8 * space.gallery.dims[s], CACHE_BYTES):
            total[block] += torch.linalg.vecdot(queries[block], gallery[block])
    return (total / space.gallery.n_samples).cpu().numpy()


def _samples(space: Space) -> range:
    return range(space.gallery.n_samples)


def _as_column(values: np.ndarray, device: str) -> torch.Tensor:
    """Return (n,) values as an (n, 1) float32 tensor."""
    return torch.as_tensor(values, device=device, dtype=torch.float32)[:, None]
