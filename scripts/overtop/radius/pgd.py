"""Distances of the paper's PGD attack (Eq. 12) among all gallery items, from trajectories among a few candidates.

A trajectory at distance rho from the query has increased the product with any item by at most rho, which proves that
most trajectories would be the same among all gallery items. The points of the others are compared with the gallery:
where an item is ahead of the rival, it becomes a candidate and the trajectory is computed again. Tests compare the
distances with the same steps by autograd in float64.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.radius.candidates import NO_ITEM, gather_candidates, load_candidates
from overtop.radius.gallery_products import iterate_gallery_products
from overtop.radius.geometry import Space
from overtop.radius.tolerances import PRODUCT_ERROR
from overtop.radius.trajectory import PgdSteps, Trajectories, compute_trajectories
from overtop.retrieval.vectors import UnitVectors, read_unit_vectors


def pgd_distances(
    space: Space, lengths: np.ndarray, steps: PgdSteps | None = None, *, candidates: int = 16
) -> np.ndarray:
    """Return how far each query has moved when its top-1 changes, or when all steps are taken.

    Args:
        space: queries, gallery and ranking. With `space.scan_gallery` False, all items of the ranking are candidates,
            and the rest of the gallery is ignored.
        lengths: (Q,) lengths of the queries.
        steps: length and number of the steps; those of the paper by default.
        candidates: number of items of the ranking, the top-1 included, that take part before the gallery is read.

    Returns:
        (Q,) float64.
    """
    steps, lengths = steps or PgdSteps(), lengths.astype(np.float64)
    distances = np.full(len(lengths), steps.total)
    rivals = space.ranking.top_ids[:, 1 : candidates if space.scan_gallery else None].astype(np.int64)
    width = rivals.shape[1]
    if width == 0:
        return distances
    ranking_is_complete = width + 1 == space.gallery.n_items
    outside_scores = space.ranking.top_scores[:, width].astype(np.float64) + PRODUCT_ERROR
    gathered = 0 if space.gallery_products is not None else width * max(space.gallery.dims)
    values_per_query = max(width**2, gathered, 5 * steps.iterations)
    for part in blocks(len(lengths), 8 * values_per_query, MAX_ARRAY_BYTES):
        rows = np.arange(part.start, part.stop)
        trajectories = compute_trajectories(space, load_candidates(space, rows, rivals[rows]), lengths[rows], steps)
        distances[rows] = trajectories.final_distance
        if space.scan_gallery and not ranking_is_complete:
            batch = _Batch(rows, lengths[rows], outside_scores[rows], rivals[rows], trajectories)
            _correct_distances(space, batch, steps, distances)
    return distances


@dataclass(frozen=True)
class _Batch:
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


def _correct_distances(space: Space, batch: _Batch, steps: PgdSteps, distances: np.ndarray) -> None:
    """Compute the trajectories on which an item outside the candidates is ahead of the rival again, with that item.

    Args:
        space: queries and gallery.
        batch: B queries.
        steps: length and number of the steps.
        distances: (Q,) distances to correct, changed in place.
    """
    while batch.rows.size:
        missing = _find_missing_rivals(space, batch)
        repeated = np.flatnonzero((missing != NO_ITEM).any(axis=0))
        if not repeated.size:
            return
        batch, rivals_before = batch.select(repeated), batch.trajectories.rival[:, repeated]
        rivals = np.concatenate([batch.rivals, _distinct_items(missing[:, repeated].T)], axis=1)
        candidates = gather_candidates(space, batch.rows, rivals)
        trajectories = compute_trajectories(space, candidates, batch.lengths, steps)
        distances[batch.rows] = trajectories.final_distance
        batch = _Batch(batch.rows, batch.lengths, batch.outside_scores, rivals, trajectories)
        # Where adding the best item outside the candidates changed nothing, no further item will.
        batch = batch.select(np.flatnonzero((trajectories.rival != rivals_before).any(axis=0)))


def _find_missing_rivals(space: Space, batch: _Batch) -> np.ndarray:
    """Return the item outside the candidates that is ahead of the rival at each point, or `NO_ITEM`, (T, B)."""
    max_points = max(1, MAX_ARRAY_BYTES // (16 * sum(space.gallery.dims)))
    is_unproved = batch.unproved_points()
    missing = np.full(is_unproved.shape, NO_ITEM)
    queries = np.flatnonzero(is_unproved.any(axis=0))
    if not queries.size:
        return missing
    part_of_query = np.cumsum(is_unproved[:, queries].sum(axis=0)) // max_points
    for part in np.split(queries, np.flatnonzero(np.diff(part_of_query)) + 1):
        missing[:, part] = _best_outside_items(space, batch.select(part), is_unproved[:, part])
    return missing


def _best_outside_items(space: Space, batch: _Batch, is_unproved: np.ndarray) -> np.ndarray:
    """Return the best item outside the candidates at the unproved points if it is ahead of the rival, or `NO_ITEM`.

    Args:
        space: queries and gallery.
        batch: B queries.
        is_unproved: (T, B) the P points to compare with the gallery.

    Returns:
        (T, B) gallery items.
    """
    step, query = np.nonzero(is_unproved)
    points = [_unproved_vectors(space, s, batch, is_unproved) for s in range(space.gallery.n_samples)]
    excluded = np.concatenate([space.top1[batch.rows, None], batch.rivals], axis=1)[query]
    products, items = np.full(len(step), -np.inf), np.full(len(step), NO_ITEM)
    for start, block in iterate_gallery_products(space.gallery, points, space.device):
        point, column = np.nonzero((excluded >= start) & (excluded < start + block.shape[1]))
        block[point, excluded[point, column] - start] = -np.inf
        best, position = (values.cpu().numpy() for values in block.max(dim=1))
        is_better = best > products
        products[is_better], items[is_better] = best[is_better], start + position[is_better]
    result = np.full(is_unproved.shape, NO_ITEM)
    trajectories = batch.trajectories
    error = PRODUCT_ERROR * (batch.lengths[query] + trajectories.distance[step, query])
    is_ahead = products > trajectories.rival_product[step, query] - error
    result[step, query] = np.where(is_ahead, items, NO_ITEM)
    return result


def _unproved_vectors(space: Space, sample: int, batch: _Batch, is_unproved: np.ndarray) -> torch.Tensor:
    """Return the components in one sample of the unproved points, (P, D) float32, ordered by step and query.

    The steps of the trajectories are applied to the embeddings themselves.
    """
    device, trajectories = space.device, batch.trajectories
    top1 = space.top1[batch.rows]
    steps = 1 + int(np.flatnonzero(is_unproved.any(axis=1))[-1])
    rivals = np.where(trajectories.rival[:steps] == NO_ITEM, top1, trajectories.rival[:steps])
    top1_vectors = UnitVectors(space.gallery, sample, top1, device)
    rival_vectors = UnitVectors(space.gallery, sample, rivals, device)
    x = _as_column(batch.lengths, device) * read_unit_vectors(space.queries, sample, batch.rows, device)
    points = []
    for t in range(steps):
        points.append(x[torch.as_tensor(is_unproved[t], device=device)])
        v = top1_vectors[:] - rival_vectors[t]
        x = _as_column(trajectories.scale[t], device) * x - _as_column(trajectories.shrink[t], device) * v
    return torch.cat(points)


def _as_column(values: np.ndarray, device: str) -> torch.Tensor:
    """Return (n,) values as an (n, 1) float32 tensor."""
    return torch.as_tensor(values, device=device, dtype=torch.float32)[:, None]


def _distinct_items(items: np.ndarray) -> np.ndarray:
    """Return the distinct items of each row, padded with `NO_ITEM`, in as few columns as possible."""
    items = np.sort(items, axis=1)[:, ::-1]
    items[:, 1:][items[:, 1:] == items[:, :-1]] = NO_ITEM
    items = np.sort(items, axis=1)[:, ::-1]
    return items[:, (items != NO_ITEM).any(axis=0)]
