"""Distances of the paper's PGD attack (Eq. 12) among all gallery items, from trajectories among a few candidates.

A trajectory at distance rho from the query has increased the product with any item by at most rho, which proves that
most trajectories would be the same among all gallery items. The others are computed again with all items of the
ranking, and those that are still unproved are compared with the gallery (`missing_rivals`): where an item is ahead of
the rival, it becomes a candidate and the trajectory is computed again. Tests compare the distances with the same steps
by autograd in float64.
"""

from collections.abc import Iterator

import numpy as np

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.radius.candidates import NO_ITEM, gather_candidates, load_candidates
from overtop.radius.geometry import Space
from overtop.radius.missing_rivals import TrajectoryBatch, find_missing_rivals
from overtop.radius.tolerances import PRODUCT_ERROR
from overtop.radius.trajectory import PgdSteps, compute_trajectories


def pgd_distances(
    space: Space, lengths: np.ndarray, steps: PgdSteps | None = None, *, candidates: int = 16
) -> np.ndarray:
    """Return how far each query has moved when its top-1 changes, or when all steps are taken.

    Args:
        space: queries, gallery and ranking. With `space.scan_gallery` False, all items of the ranking are candidates,
            and the rest of the gallery is ignored.
        lengths: (Q,) lengths of the queries.
        steps: length and number of the steps; those of the paper by default.
        candidates: number of items of the ranking, the top-1 included, that take part in all trajectories.

    Returns:
        (Q,) float64.
    """
    steps, lengths = steps or PgdSteps(), lengths.astype(np.float64)
    distances = np.full(len(lengths), steps.total)
    width = space.ranking.top_ids.shape[1]
    if width == 1:
        return distances
    rows = np.arange(len(lengths))
    if space.scan_gallery and candidates < width:
        unproved = []
        for batch in _iterate_batches(space, rows, lengths, candidates, steps):
            distances[batch.rows] = batch.trajectories.final_distance
            unproved.append(batch.rows[batch.unproved_points().any(axis=0)])
        rows = np.concatenate(unproved)
    for batch in _iterate_batches(space, rows, lengths, width, steps):
        distances[batch.rows] = batch.trajectories.final_distance
        if space.scan_gallery and width < space.gallery.n_items:
            _correct_distances(space, batch, steps, distances)
    return distances


def _iterate_batches(
    space: Space, rows: np.ndarray, lengths: np.ndarray, width: int, steps: PgdSteps
) -> Iterator[TrajectoryBatch]:
    """Compute the trajectories of some queries among the first `width` items of the ranking, one batch at a time."""
    ranking = space.ranking
    gathered = 0 if space.gallery_products is not None else width * max(space.gallery.dims)
    values_per_query = max(width**2, gathered, 5 * steps.iterations)
    for part in blocks(len(rows), 8 * values_per_query, MAX_ARRAY_BYTES):
        selected = rows[part]
        rivals = ranking.top_ids[selected, 1:width].astype(np.int64)
        trajectories = compute_trajectories(space, load_candidates(space, selected, rivals), lengths[selected], steps)
        outside_scores = ranking.top_scores[selected, width - 1].astype(np.float64) + PRODUCT_ERROR
        yield TrajectoryBatch(selected, lengths[selected], outside_scores, rivals, trajectories)


def _correct_distances(space: Space, batch: TrajectoryBatch, steps: PgdSteps, distances: np.ndarray) -> None:
    """Compute the trajectories on which an item outside the candidates is ahead of the rival again, with that item.

    Args:
        space: queries and gallery.
        batch: B queries.
        steps: length and number of the steps.
        distances: (Q,) distances to correct, changed in place.
    """
    while batch.rows.size:
        missing = find_missing_rivals(space, batch)
        repeated = np.flatnonzero((missing != NO_ITEM).any(axis=0))
        if not repeated.size:
            return
        batch, rivals_before = batch.select(repeated), batch.trajectories.rival[:, repeated]
        rivals = np.concatenate([batch.rivals, _distinct_items(missing[:, repeated].T)], axis=1)
        candidates = gather_candidates(space, batch.rows, rivals)
        trajectories = compute_trajectories(space, candidates, batch.lengths, steps)
        distances[batch.rows] = trajectories.final_distance
        batch = TrajectoryBatch(batch.rows, batch.lengths, batch.outside_scores, rivals, trajectories)
        # Where adding the best item outside the candidates changed nothing, no further item will.
        batch = batch.select(np.flatnonzero((trajectories.rival != rivals_before).any(axis=0)))


def _distinct_items(items: np.ndarray) -> np.ndarray:
    """Return the distinct items of each row, padded with `NO_ITEM`, in as few columns as possible."""
    items = np.sort(items, axis=1)[:, ::-1]
    items[:, 1:][items[:, 1:] == items[:, :-1]] = NO_ITEM
    items = np.sort(items, axis=1)[:, ::-1]
    return items[:, (items != NO_ITEM).any(axis=0)]
