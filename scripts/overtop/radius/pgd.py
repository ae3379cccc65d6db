"""The paper's walk away from the top-1 (Eq. 12), replayed without D-dimensional gradients.

The loss is the cosine of x with g_1 less that with the rival, the best of the others. With v = g_1 - g_j for the rival
j, its gradient is v minus its part along x, over |x|. So x <- x - step * gradient / |gradient| stays a combination of
the query and of such v, a step changes all the gaps x.(g_1 - g_i) by a factor and by a row of products v_i.v_j, and
many queries walk at once. The step is tangent, so |x|^2 grows by step^2.

Only some candidates take part. A walk at distance rho from q has raised another item by at most rho, which proves that
most walks would be the same in the whole gallery. The points of the others are held against the gallery: who is ahead
of the rival somewhere joins the candidates, and the walk is taken again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.radius.geometry import CLOSE, SLACK, Space
from overtop.retrieval.vectors import UnitRows, units_of

TIE = 1e-12
"""Cosines closer than this are equal to float64 arithmetic."""
FLAT = 1e-12
"""A squared gradient of less is none."""
NOBODY = -1


@dataclass(frozen=True)
class Limits:
    """How a walk proceeds.

    Attributes:
        step: length of one step (paper: 0.025).
        iterations: at most so many steps (paper: 50).
    """

    step: float = 0.025
    iterations: int = 50


def walk(
    space: Space, length: np.ndarray, limits: Limits | None = None, candidates: int = 16, beyond: bool = True
) -> np.ndarray:
    """How far each query is from where it started when its top-1 changes, or when its steps are used up.

    Args:
        space: queries, gallery and ranking.
        length: (Q,) length at which each query starts.
        limits: step and number of steps; the paper's by default.
        candidates: how many of the ranking's items take part at first.
        beyond: read the gallery where nothing proves that the candidates are enough. Without it, all of the ranking's
            items take part and no others.

    Returns:
        (Q,) float64.
    """
    limits, length = limits or Limits(), length.astype(np.float64)
    walked = np.full(len(length), limits.step * limits.iterations)
    rivals = space.ranking.top_ids[:, 1 : candidates if beyond else None].astype(np.int64)
    width = rivals.shape[1]
    if width == 0:
        return walked
    everything = width + 1 == space.gallery.n_items
    outside = space.ranking.top_scores[:, width].astype(np.float64) + SLACK
    gathered = 0 if space.table is not None else width * max(space.gallery.dims)
    each = max(width**2, gathered, 5 * limits.iterations)
    for part in blocks(len(length), 8 * each, MAX_ARRAY_BYTES):
        rows = np.arange(part.start, part.stop)
        path = _walk(space, _start(space, rows, rivals[rows]), length[rows], limits)
        walked[rows] = path.walked
        if beyond and not everything:
            _mend(space, rows, rivals[rows], path, length, outside, limits, walked)
    return walked


@dataclass(frozen=True)
class _Field:
    """B queries and their K rivals at the start.

    Attributes:
        rows: (B,) the queries.
        items: (B, K) gallery items, or NOBODY.
        margin: (B, K) of unit queries: q.v_j, infinite for NOBODY.
        squared: (B, K) |v_j|^2.
        products: from walks (n,) and one of their rivals each (n,), by number, to its v_i.v_j (n, K).
    """

    rows: np.ndarray
    items: np.ndarray
    margin: np.ndarray
    squared: np.ndarray
    products: Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Path:
    """Where B walks went; T steps at most.

    Attributes:
        walked: (B,) their distance at the end.
        rival: (T, B) the gallery item that each step moves towards, NOBODY after the end.
        scale: (T, B) x <- scale * x - shrink * v.
        shrink: (T, B).
        rival_product: (T, B) of x with the rival, before the step.
        distance: (T, B) of x from the query, before the step.
    """

    walked: np.ndarray
    rival: np.ndarray
    scale: np.ndarray
    shrink: np.ndarray
    rival_product: np.ndarray
    distance: np.ndarray

    def of(self, walks: np.ndarray) -> _Path:
        """The path of some walks."""
        return _Path(*(getattr(self, field.name)[..., walks] for field in fields(self)))


def _start(space: Space, rows: np.ndarray, items: np.ndarray) -> _Field:
    """The rivals as the ranking and the table know them, or else as the embeddings do."""
    table, top1 = space.table, space.top1[rows]
    if table is None:
        return _gathered(space, rows, items)
    scores = space.ranking.top_scores[rows, : items.shape[1] + 1].astype(np.float64)

    def products(walks: np.ndarray, rivals: np.ndarray) -> np.ndarray:
        first, there = top1[walks, None], items[walks]
        rival = items[walks, rivals][:, None]
        return 1.0 - table[first, there] - table[first, rival].astype(np.float64) + table[rival, there]

    squared = 2.0 - 2.0 * table[top1[:, None], items].astype(np.float64)
    return _Field(rows, items, scores[:, :1] - scores[:, 1:], squared, products)


def _gathered(space: Space, rows: np.ndarray, items: np.ndarray) -> _Field:
    margin, gram = space.grams(rows, np.where(items == NOBODY, space.top1[rows, None], items))
    margin = np.where(items == NOBODY, np.inf, margin)
    squared = np.einsum("bii->bi", gram).astype(np.float64)
    return _Field(rows, items, margin, squared, lambda walks, rivals: gram[walks, rivals])


def _walk(space: Space, field: _Field, length: np.ndarray, limits: Limits) -> _Path:
    """Walk B queries at once. Float32 decides nothing: before a gap counts as closed, it is computed in float64."""
    count = len(length)
    gaps = field.margin * length[:, None]
    start_gaps, squared = gaps.copy(), field.squared.copy()
    exact = np.zeros(gaps.shape, dtype=bool)
    top_product = space.ranking.top_scores[field.rows, 0] * length
    query_product = length**2
    factor = np.ones(count)
    taken = np.zeros(count, dtype=np.int64)
    walked = np.full(count, limits.step * limits.iterations)
    rivals = np.full((limits.iterations, count), NOBODY)
    scales, shrinks, rival_products, distances = np.zeros((4, limits.iterations, count))
    live = np.arange(count)
    while live.size:
        j = gaps[live].argmin(axis=1)
        gap = gaps[live, j]
        vague = ~exact[live, j] & ((np.abs(gap) <= SLACK * length[live]) | (squared[live, j] <= CLOSE))
        squared_x = length[live] ** 2 + taken[live] * limits.step**2
        distance = np.sqrt(np.maximum(squared_x - 2.0 * query_product[live] + length[live] ** 2, 0.0))
        squared_gradient = squared[live, j] - gap**2 / squared_x
        ended = ~vague & ((gap <= TIE * length[live]) | (taken[live] == limits.iterations))
        walked[live[ended]] = distance[ended]
        moving = ~vague & ~ended & (squared_gradient > FLAT)
        waiting, rival = live[vague], j[vague]
        walks, j, t = live[moving], j[moving], taken[live[moving]]
        shrink = limits.step / np.sqrt(squared_gradient[moving])
        scale = 1.0 + shrink * gap[moving] / squared_x[moving]
        rivals[t, walks], scales[t, walks], shrinks[t, walks] = field.items[walks, j], scale, shrink
        rival_products[t, walks], distances[t, walks] = top_product[walks] - gap[moving], distance[moving]
        gaps[walks] = gaps[walks] * scale[:, None] - shrink[:, None] * field.products(walks, j)
        # The own product is known better than float32 has it.
        gaps[walks, j] = gap[moving] * scale - shrink * squared[walks, j]
        query_product[walks] = scale * query_product[walks] - shrink * start_gaps[walks, j]
        top_product[walks] = scale * top_product[walks] - shrink * squared[walks, j] / 2.0
        factor[walks] *= scale
        taken[walks] += 1
        live = live[vague | moving]
        if waiting.size and not moving.any():  # those wait for each other, so that embeddings are read seldom
            margin, squared[waiting, rival] = space.differences(field.rows[waiting], field.items[waiting, rival])
            better = margin * length[waiting]
            gaps[waiting, rival] += factor[waiting] * (better - start_gaps[waiting, rival])
            start_gaps[waiting, rival] = better
            exact[waiting, rival] = True
    return _Path(walked, rivals, scales, shrinks, rival_products, distances)


def _mend(
    space: Space,
    rows: np.ndarray,
    items: np.ndarray,
    path: _Path,
    length: np.ndarray,
    outside: np.ndarray,
    limits: Limits,
    walked: np.ndarray,
) -> None:
    """Take those walks again, with more rivals, on which an item from outside would have been ahead of the rival."""
    room = MAX_ARRAY_BYTES // (16 * sum(space.gallery.dims))
    while rows.size:
        reach = length[rows] * outside[rows] + path.distance
        doubted = (path.rival != NOBODY) & (path.rival_product < reach)
        ahead = np.full(doubted.shape, NOBODY)
        still = np.flatnonzero(doubted.any(axis=0))
        if not still.size:
            return
        filled = np.cumsum(doubted[:, still].sum(axis=0)) // room
        for few in np.split(still, np.flatnonzero(np.diff(filled)) + 1):
            ahead[:, few] = _ahead(space, rows[few], items[few], path.of(few), length[rows[few]], doubted[:, few])
        again = np.flatnonzero((ahead != NOBODY).any(axis=0))
        if not again.size:
            return
        rows, before = rows[again], path.rival[:, again]
        items = np.concatenate([items[again], _distinct(ahead[:, again].T)], axis=1)
        path = _walk(space, _gathered(space, rows, items), length[rows], limits)
        walked[rows] = path.walked
        # Where the best of the others joined and changed nothing, none of the others would.
        changed = np.flatnonzero((path.rival != before).any(axis=0))
        rows, items, path = rows[changed], items[changed], path.of(changed)


def _ahead(
    space: Space, rows: np.ndarray, items: np.ndarray, path: _Path, length: np.ndarray, doubted: np.ndarray
) -> np.ndarray:
    """At the doubted points of some walks, (T, B), the best item of the rest of the gallery, if it is ahead."""
    step, walk_of = np.nonzero(doubted)
    points = [_points(space, s, rows, path, length, doubted) for s in range(space.gallery.n_samples)]
    known = np.concatenate([space.top1[rows, None], items], axis=1)[walk_of]
    product, item = np.full(len(step), -np.inf), np.full(len(step), NOBODY)
    for start, products in space.scan(points):
        point, column = np.nonzero((known >= start) & (known < start + products.shape[1]))
        products[point, known[point, column] - start] = -np.inf
        best, where = (values.cpu().numpy() for values in products.max(dim=1))
        better = best > product
        product[better], item[better] = best[better], start + where[better]
    found = np.full(doubted.shape, NOBODY)
    near = path.rival_product[step, walk_of] - SLACK * (length[walk_of] + path.distance[step, walk_of])
    found[step, walk_of] = np.where(product > near, item, NOBODY)
    return found


def _points(
    space: Space, sample: int, rows: np.ndarray, path: _Path, length: np.ndarray, doubted: np.ndarray
) -> torch.Tensor:
    """The doubted points of some walks, one after the other by step and walk, as far as one sample is concerned."""

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(values, device=space.device, dtype=torch.float32)[:, None]

    used = 1 + int(np.flatnonzero(doubted.any(axis=1))[-1])
    goals = np.where(path.rival[:used] == NOBODY, space.top1[rows], path.rival[:used])
    top = UnitRows(space.gallery, sample, space.top1[rows], space.device)
    rivals = UnitRows(space.gallery, sample, goals, space.device)
    x = tensor(length) * units_of(space.queries, sample, rows, space.device)
    found = []
    for t in range(used):
        found.append(x[torch.as_tensor(doubted[t], device=space.device)])
        v = top.at(slice(None)) - rivals.at(t)
        x = tensor(path.scale[t]) * x - tensor(path.shrink[t]) * v
    return torch.cat(found)


def _distinct(items: np.ndarray) -> np.ndarray:
    """Each row's items once, the rest of it NOBODY, in as many columns as are needed."""
    items = np.sort(items, axis=1)[:, ::-1]
    items[:, 1:][items[:, 1:] == items[:, :-1]] = NOBODY
    items = np.sort(items, axis=1)[:, ::-1]
    return items[:, (items != NOBODY).any(axis=0)]
