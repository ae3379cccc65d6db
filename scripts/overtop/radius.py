"""How far a query must move before its top-1 changes: exactly, linearly, and by the paper's walk.

The top-1 of q stays first exactly while q.(g_1 - g_j) >= 0 for all j (unit g), an intersection of half-spaces through
the origin. So all three lengths live in products of q and of gallery items with each other, and no D-dimensional
gradient is needed. Only near neighbours of the top-1 can matter: each query is solved on its best candidates, with a
proof that no other item interferes; where the proof fails it is solved again on the whole gallery.

Two spaces, one per protocol. `published`: the mean over samples of the un-normalised embeddings, with the ranking of
that mean and the query at its own length. `corrected`: the samples' unit embeddings concatenated, divided by sqrt(S);
the cosine there is the mean similarity, and the query has length one.

Defined values: a gallery that holds the top-1 twice, or a tie for the first place, gives 0. A gallery of one item gives
infinity for `exact` and `linear` and step x iterations for `walk`. So does a rival exactly opposite to the top-1 as the
query sees it, where the gradient of Eq. 12 vanishes, but for `exact`, which is finite there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from overtop.arrays import read_arrays, write_arrays
from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.ranking import Ranking, rank, unit
from overtop.store import ArraySource, EmbeddingSource
from overtop.terms import DIRECTIONS, Direction, Protocol

SCHEMA = "radii/1"
STEP, ITERATIONS = 0.025, 50
CANDIDATES = 32
SAME = 1e-6
"""Unit gallery items closer than this are one item to float32 embeddings."""
TIE = 1e-12
"""Cosines closer than this are equal to float64 arithmetic."""
SLACK = 1e-5
"""More than a float32 similarity can be off."""
BYTES = 256 * 2**20
"""Size of the largest working array."""


@dataclass(frozen=True)
class Radius:
    """Lengths by which each of Q queries must move, in one space.

    Attributes:
        exact: (Q,) float64, the minimum of Eq. 11.
        linear: (Q,) float64, Eq. 14, for the best two items.
        walk: (Q,) float64, length reached by the walk of Eq. 12.
        certified: (Q,) bool, proved on the candidates alone; the others were solved on the whole gallery.
        top1: (Q,) int32, the gallery index whose loss of the first place is meant.
    """

    exact: np.ndarray
    linear: np.ndarray
    walk: np.ndarray
    certified: np.ndarray
    top1: np.ndarray


@dataclass(frozen=True)
class Radii:
    """The radius in each protocol's space; `published` is None where the members' dimensions differ."""

    published: Radius | None
    corrected: Radius

    def under(self, protocol: Protocol) -> Radius:
        """The radius in one protocol's space.

        Raises:
            OvertopError: the published space does not exist for this posterior.
        """
        radius = self.published if protocol == "published" else self.corrected
        if radius is None:
            raise OvertopError(
                "protocol 'published' averages embeddings over samples, and the members of this ensemble differ in "
                "dimension; use protocol 'corrected' for the adversarial estimators"
            )
        return radius


def radii(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    rankings: Mapping[Direction, Ranking],
    step: float = STEP,
    iterations: int = ITERATIONS,
    candidates: int = CANDIDATES,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Direction, Radii]:
    """Radii of every query in both directions and both spaces.

    Args:
        images: the N images that were ranked.
        texts: the M captions that were ranked.
        rankings: what `rank` returned for them.
        step: length of one step of the walk (paper: 0.025).
        iterations: at most so many steps (paper: 50).
        candidates: how many of a query's best items to try first.
        device: a torch device for the products; by default the GPU if there is one.
        progress: called with the parts done and their number.

    Raises:
        OvertopError: an embedding is zero or not finite, also after averaging over samples.
    """
    device = device or default_device()
    walk = _WalkLimits(step, iterations)
    means = (_mean(images), _mean(texts)) if len(set(images.dims)) == 1 else None
    mean_rankings = rank(*means, top=candidates, vote_top=1, device=device) if means else None
    total = len(rankings) * (2 if means else 1)
    done = 0
    result: dict[Direction, Radii] = {}
    for direction, ranking in rankings.items():
        published = None
        if means is not None and mean_rankings is not None:
            queries, gallery = _turned(direction, *means)
            length = np.linalg.norm(queries.read(0, 0, queries.n_items).astype(np.float64), axis=1)
            published = _solve(_Space(queries, gallery, mean_rankings[direction], length, device), candidates, walk)
            done += 1
            if progress is not None:
                progress(done, total)
        sources = _turned(direction, images, texts)
        space = _Space(*sources, ranking, np.ones(sources[0].n_items), device)
        result[direction] = Radii(published, _solve(space, candidates, walk))
        done += 1
        if progress is not None:
            progress(done, total)
    return result


def write_radii(path: str | Path, values: Mapping[Direction, Radii], attributes: Mapping[str, Any]) -> None:
    """Write the radii of both directions with their provenance (JSON-able) to one HDF5 file."""
    arrays = {
        f"{direction}/{space}/{field.name}": getattr(radius, field.name)
        for direction, both in values.items()
        for space, radius in (("published", both.published), ("corrected", both.corrected))
        if radius is not None
        for field in fields(Radius)
    }
    write_arrays(path, SCHEMA, arrays, attributes)


def read_radii(path: str | Path) -> tuple[dict[Direction, Radii], dict[str, Any]]:
    """The radii and attributes that `write_radii` wrote.

    Raises:
        OvertopError: the file is missing, truncated, altered, or of another kind.
    """
    arrays, attributes = read_arrays(path, SCHEMA)

    def one(direction: str, space: str) -> Radius:
        return Radius(**{field.name: arrays[f"{direction}/{space}/{field.name}"] for field in fields(Radius)})

    values = {
        direction: Radii(
            one(direction, "published") if f"{direction}/published/exact" in arrays else None,
            one(direction, "corrected"),
        )
        for direction in DIRECTIONS
    }
    return values, attributes


@dataclass(frozen=True)
class _WalkLimits:
    step: float
    iterations: int


Fetch = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From walks (n,) and items (n,), as numbers within a block, to the items' rows of the Gram matrix."""


@dataclass(frozen=True)
class _Space:
    """Queries and gallery as unit vectors over sqrt(S), all samples concatenated but never at once in memory.

    `ranking` orders the gallery by the product here; `length` (Q,) is the length at which the query walks.
    """

    queries: EmbeddingSource
    gallery: EmbeddingSource
    ranking: Ranking
    length: np.ndarray
    device: str

    @cached_property
    def table(self) -> np.ndarray | None:
        """The gallery's whole Gram matrix, if it is small and most of it will be asked for.

        One large product beats gathering a few items for each of many queries.
        """
        size = self.gallery.n_items
        worth = 8 * size**2 <= BYTES and size <= self.queries.n_items
        return self._with_gallery(self.gallery, np.arange(size)) if worth else None

    def near(self, rows: np.ndarray, columns: np.ndarray) -> _Seen:
        """Queries `rows` (B,) and the gallery items `columns` (B, K), the top-1 first."""
        top = np.zeros(len(rows), dtype=np.int64)
        table = self.table
        if table is None:
            cosines, gram = self._gathered(rows, columns)
            return _Seen(cosines, top, lambda walks, items: gram[walks, items])
        cosines = np.take_along_axis(self._with_gallery(self.queries, rows), columns, axis=1)
        return _Seen(cosines, top, lambda walks, items: table[columns[walks, items][:, None], columns[walks]])

    def far(self, rows: np.ndarray) -> _Seen:
        """Queries `rows` (B,) and the whole gallery."""
        return _Seen(
            self._with_gallery(self.queries, rows),
            self.ranking.top_ids[rows, 0].astype(np.int64),
            lambda _, items: self._with_gallery(self.gallery, items) if self.table is None else self.table[items],
        )

    def _with_gallery(self, side: EmbeddingSource, rows: np.ndarray) -> np.ndarray:
        """Products of some items of a side (B,) with the whole gallery, (B, N) float64."""
        import torch

        distinct, back = np.unique(rows, return_inverse=True)
        total = torch.zeros(len(distinct), self.gallery.n_items, dtype=torch.float64, device=self.device)
        for s in range(self.gallery.n_samples):
            total += self._units(side, s, distinct) @ self._units(self.gallery, s).mT
        found = (total / self.gallery.n_samples).cpu().numpy()
        return found if np.array_equal(distinct, rows) else found[back]

    def _gathered(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Products of queries (B,) with their items (B, K), and of those with each other (B, K, K), float64."""
        import torch

        picked = torch.as_tensor(columns, device=self.device)
        count, width = columns.shape
        first = torch.zeros(count, width, dtype=torch.float64, device=self.device)
        gram = torch.zeros(count, width, width, dtype=torch.float64, device=self.device)
        for s in range(self.gallery.n_samples):
            asked, gallery = self._units(self.queries, s, rows), self._units(self.gallery, s)
            for part in _blocks(count, 8 * width * gallery.shape[1], BYTES // 16):
                members = gallery[picked[part]]
                first[part] += (members @ asked[part, :, None])[..., 0]
                gram[part] += members @ members.mT
        samples = self.gallery.n_samples
        return (first / samples).cpu().numpy(), (gram / samples).cpu().numpy()

    def _units(self, side: EmbeddingSource, sample: int, rows: np.ndarray | None = None) -> Any:
        """Unit embeddings of one sample, a float64 tensor: of all items, or of some, in rising order."""
        import torch

        return unit(side, sample, slice(0, side.n_items) if rows is None else rows, self.device, torch.float64)


def _solve(space: _Space, candidates: int, limits: _WalkLimits) -> Radius:
    """All queries on their candidates, then those without a proof on the whole gallery."""
    top_ids = space.ranking.top_ids[:, :candidates].astype(np.int64)
    count, width = top_ids.shape
    gallery_size = space.gallery.n_items
    rest = space.ranking.top_scores[:, width - 1].astype(np.float64) + SLACK
    outside = rest if width < gallery_size else np.full(count, -np.inf)
    lengths = np.empty((3, count))
    certified = np.empty(count, dtype=bool)
    for part in _blocks(count, 8 * max(width**2, gallery_size), BYTES):
        seen = space.near(np.arange(count)[part], top_ids[part])
        lengths[:, part], certified[part] = _lengths(seen, space.length[part], outside[part], limits)
    open_rows = np.flatnonzero(~certified)
    for part in _blocks(len(open_rows), 8 * gallery_size, BYTES // 8):
        rows = open_rows[part]
        nothing = np.full(len(rows), -np.inf)
        lengths[:, rows], _ = _lengths(space.far(rows), space.length[rows], nothing, limits)
    exact, linear, walk = lengths
    return Radius(exact, linear, walk, certified, space.ranking.top_ids[:, 0])


class _Seen:
    """B queries as they see K gallery items each.

    Attributes:
        cosines: (B, K), -inf at the query's own top-1.
        best: (B,) the cosine of the top-1.
        to_top: (B, K) cosines of the items with the top-1.
    """

    def __init__(self, cosines: np.ndarray, top: np.ndarray, fetch: Fetch) -> None:
        every = np.arange(len(cosines))
        self.to_top = fetch(every, top)
        self.best = cosines[every, top]
        self.cosines = cosines
        self.cosines[every, top] = -np.inf
        self._fetch = fetch
        self._slot = np.full(cosines.shape, -1, dtype=np.int32)
        self._rows = np.empty((0, cosines.shape[1]))

    def knows(self, walks: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether the row of an item is there."""
        return self._slot[walks, items] >= 0

    def learn(self, walks: np.ndarray, items: np.ndarray) -> None:
        """Fetch the rows of items, for all the walks that wait for one."""
        self._slot[walks, items] = len(self._rows) + np.arange(len(walks))
        self._rows = np.concatenate([self._rows, self._fetch(walks, items)])

    def row(self, walks: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Cosines of items with all K items, (n, K)."""
        return self._rows[self._slot[walks, items]]


def _lengths(
    seen: _Seen, length: np.ndarray, outside: np.ndarray, limits: _WalkLimits
) -> tuple[np.ndarray, np.ndarray]:
    """Exact, linear and walked length (3, B), and whether no item of cosine <= `outside` (B,) can change them."""
    if seen.cosines.shape[1] == 1:
        reach = limits.step * limits.iterations
        return np.repeat([[np.inf], [np.inf], [reach]], len(length), axis=1), np.ones(len(length), dtype=bool)
    squared = np.maximum(2.0 - 2.0 * seen.to_top, 0.0)
    rivals = np.isfinite(seen.cosines)
    margin = np.maximum(seen.best[:, None] - seen.cosines, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = length * np.where(rivals, margin / np.sqrt(squared), np.inf).min(axis=1)
        second = seen.cosines.argmax(axis=1)[:, None]
        gap = np.take_along_axis(margin, second, axis=1)[:, 0]
        # The gradient of a cosine by q is tangent to the sphere and shrinks with |q|.
        tangent = np.take_along_axis(squared, second, axis=1)[:, 0] - gap**2
        linear = np.where(tangent > SAME**2, length * gap / np.sqrt(np.maximum(tangent, SAME**2)), np.inf)
    walked, certified = _walk(seen, length, outside, limits)
    certified &= exact <= length * (seen.best - outside) / 2.0
    twice = (rivals & (squared <= SAME**2)).any(axis=1)
    lengths = np.stack([exact, linear, walked])
    lengths[:, twice] = 0.0
    return lengths, certified | twice


def _walk(seen: _Seen, length: np.ndarray, outside: np.ndarray, limits: _WalkLimits) -> tuple[np.ndarray, np.ndarray]:
    """The walk of Eq. 12, x <- x - step * gradient / |gradient|, of B queries at once.

    With v = g_1 - g_j for the rival j, the gradient of the loss is v minus its part along x, over |x|. So x stays a
    combination of q and gallery items, and a step scales u = x.g by a factor and adds two rows of the Gram matrix.
    It is tangent, so |x|^2 grows by step^2. A walk at distance rho from q has raised an outside item by at most rho.

    Returns:
        The distance from q at the flip (or after the last step), and whether no outside item was ever in play.
    """
    u = seen.cosines * length[:, None]
    u_top = seen.best * length
    with_start = length**2
    taken = np.zeros(len(length), dtype=np.int64)
    walked = np.full(len(length), limits.step * limits.iterations)
    certified = np.ones(len(length), dtype=bool)
    live = np.arange(len(length))
    while live.size:
        rival = u[live].argmax(axis=1)
        squared_x = length[live] ** 2 + taken[live] * limits.step**2
        distance = np.sqrt(np.maximum(squared_x - 2.0 * with_start[live] + length[live] ** 2, 0.0))
        gap = u_top[live] - u[live, rival]
        squared_v = 2.0 - 2.0 * seen.to_top[live, rival]
        squared_gradient = squared_v - gap**2 / squared_x
        ended = (gap <= TIE * length[live]) | (taken[live] == limits.iterations)
        walked[live[ended]] = distance[ended]
        moving = ~ended & (squared_gradient > SAME**2)
        certified[live[moving]] &= (length * outside)[live[moving]] + distance[moving] <= u[live, rival][moving]
        ready = moving & seen.knows(live, rival)
        if moving.any() and not ready.any():
            seen.learn(live[moving], rival[moving])
            ready = moving
        walks, j = live[ready], rival[ready]
        shrink = limits.step / np.sqrt(squared_gradient[ready])
        scale = 1.0 + shrink * gap[ready] / squared_x[ready]
        moved = u[walks] * scale[:, None] - shrink[:, None] * (seen.to_top[walks] - seen.row(walks, j))
        start_gap = (seen.best[walks] - seen.cosines[walks, j]) * length[walks]
        with_start[walks] = scale * with_start[walks] - shrink * start_gap
        u_top[walks] = scale * u_top[walks] - shrink * (1.0 - seen.to_top[walks, j])
        u[walks] = moved
        taken[walks] += 1
        live = live[moving]
    return walked, certified


def _mean(source: EmbeddingSource) -> ArraySource:
    """The mean over samples of the un-normalised embeddings, as a source of one sample."""
    total = np.zeros((source.n_items, source.dims[0]))
    for s in range(source.n_samples):
        total += source.read(s, 0, source.n_items)
    return ArraySource([(total / source.n_samples).astype(np.float32)], source.item_ids)


def _turned(
    direction: Direction, images: EmbeddingSource, texts: EmbeddingSource
) -> tuple[EmbeddingSource, EmbeddingSource]:
    """(queries, gallery)."""
    return (texts, images) if direction == "t2i" else (images, texts)


def _blocks(count: int, bytes_each: int, budget: int) -> Iterator[slice]:
    size = max(1, budget // bytes_each)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
