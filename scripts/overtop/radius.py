"""How far a query must move before its top-1 changes: exactly, linearly, and by the paper's walk.

Two spaces, one per protocol. `published`: the mean over samples of the un-normalised embeddings, with the ranking of
that mean and the query at its own length. `corrected`: the samples' unit embeddings concatenated, divided by sqrt(S);
the cosine there is the mean similarity, and the query has length one.

Defined values: a gallery that holds the top-1 twice, or a tie for the first place, gives 0. A gallery of one item gives
infinity for `exact` and `linear` and step x iterations for `walk`. So does a rival exactly opposite to the top-1 as the
query sees it, where the gradient of Eq. 12 vanishes, but for `exact`, which is finite there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from overtop.arrays import read_arrays, write_arrays
from overtop.boundary import Boundary, boundary
from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.ranking import Ranking, rank
from overtop.space import SPAN, Space, mean_of, rescore
from overtop.store import EmbeddingSource
from overtop.terms import DIRECTIONS, Direction, Protocol
from overtop.walk import Limits, walk

SCHEMA = "radii/1"


@dataclass(frozen=True)
class Radius:
    """Lengths by which each of Q queries must move, in one space.

    Attributes:
        exact: (Q,) float64, the minimum of Eq. 11.
        linear: (Q,) float64, Eq. 14, for the best two items.
        walk: (Q,) float64, length reached by the walk of Eq. 12.
        certified: (Q,) bool, the ranking's items alone prove `exact`; for the others the gallery was read once more.
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
    step: float = 0.025,
    iterations: int = 50,
    candidates: int = 16,
    beyond: bool = True,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Direction, Radii]:
    """Radii of every query in both spaces, in the directions that were ranked.

    Args:
        images: the N images that were ranked.
        texts: the M captions that were ranked.
        rankings: what `rank` returned for them, or `search`.
        step: length of one step of the walk (paper: 0.025).
        iterations: at most so many steps (paper: 50).
        candidates: how many of a query's best items take part in its walk at first.
        beyond: read the gallery for the queries whose ranking proves nothing. Without it, for a ranking that an
            approximate search found, all lengths are judged by the items found alone.
        device: a torch device for the products; by default the GPU if there is one.
        progress: called with the parts done and their number.

    Raises:
        OvertopError: an embedding is zero or not finite, also after averaging over samples.
    """
    device = device or default_device()
    limits = Limits(step, iterations)
    averaged = len(set(images.dims)) == 1
    means = (mean_of(images), mean_of(texts)) if averaged and images.n_samples > 1 else None
    mean_rankings = _rank_means(*means, rankings, beyond, device) if means else {}
    total = len(rankings) * (2 if averaged else 1)
    told = count(1)

    def measure(space: Space, near: Boundary, length: np.ndarray) -> Radius:
        walked = walk(space, length, limits, candidates, beyond)
        if progress is not None:
            progress(next(told), total)
        return Radius(length * near.exact, length * near.linear, walked, near.certified, space.top1.astype(np.int32))

    result: dict[Direction, Radii] = {}
    for direction, ranking in rankings.items():
        space = Space(*_turned(direction, images, texts), ranking, device)
        near = boundary(space, beyond)
        corrected = measure(space, near, np.ones(len(space.top1)))
        if means:  # else the mean of one sample is that sample
            space = Space(*_turned(direction, *means), mean_rankings[direction], device)
            near = boundary(space, beyond)
            if not beyond:  # the items found are the best ones of the other space
                near = replace(near, certified=np.zeros_like(near.certified))
        published = measure(space, near, _lengths(space.queries)) if averaged else None
        result[direction] = Radii(published, corrected)
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


def _rank_means(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    rankings: Mapping[Direction, Ranking],
    beyond: bool,
    device: str,
) -> dict[Direction, Ranking]:
    """Rankings by mean embeddings: of the whole gallery, or of the items that each ranking holds."""
    width = max(ranking.top_ids.shape[1] for ranking in rankings.values())
    if beyond:
        return rank(images, texts, top=width, vote_top=1, device=device)
    ordered = {}
    for direction, ranking in rankings.items():
        ids, scores = rescore(*_turned(direction, images, texts), ranking.top_ids, device)
        ordered[direction] = Ranking(ranking.query_ids, ranking.gallery_ids, ids, scores, ids[:, None, :1])
    return ordered


def _lengths(source: EmbeddingSource) -> np.ndarray:
    """(n,) lengths of the embeddings of a source's first sample."""
    spans = [source.read(0, start, min(start + SPAN, source.n_items)) for start in range(0, source.n_items, SPAN)]
    return np.concatenate([np.linalg.norm(span.astype(np.float64), axis=1) for span in spans])


def _turned(
    direction: Direction, images: EmbeddingSource, texts: EmbeddingSource
) -> tuple[EmbeddingSource, EmbeddingSource]:
    """(queries, gallery)."""
    return (texts, images) if direction == "t2i" else (images, texts)
