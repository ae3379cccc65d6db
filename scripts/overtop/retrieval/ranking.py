"""The one heavy pass over queries x gallery, and what it leaves behind per query.

Similarity is the dot product of unit embeddings in each sample, averaged over the samples (float32). Blocks of captions
meet blocks of images, each small enough to stay in the processor's cache while all is taken from it that is kept; one
product serves both directions, and no M x N matrix is ever whole. Among equal similarities the smaller gallery index
comes first, everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import decode, encode, read_arrays, write_arrays
from overtop.terms import DIRECTIONS, Direction

SCHEMA = "ranking/2"


ARRAYS = ("top_ids", "top_scores", "sample_top", "log_partition", "mean_gap")


@dataclass(frozen=True)
class Ranking:
    """What the ranking pass keeps of Q queries over a gallery of N items, S samples.

    Attributes:
        query_ids: Q names.
        gallery_ids: N names.
        top_ids: (Q, K) int32 gallery indices, best first by mean similarity.
        top_scores: (Q, K) float32, their mean similarities.
        sample_top: (Q, S, k) int32 gallery indices, the best k in each sample.
        temperatures: T temperatures, rising, at which the softmax over the gallery is summed up.
        log_partition: (Q, T) float64, log of the sum of exp((s - s_(1))/temperature) over the gallery, s the mean
            similarity and s_(1) its largest value; 0 or more.
        mean_gap: (Q, T) float64, s_(1) less the mean of s under the softmax; 0 or more.
    """

    query_ids: list[str]
    gallery_ids: list[str]
    top_ids: np.ndarray
    top_scores: np.ndarray
    sample_top: np.ndarray
    temperatures: tuple[float, ...] = ()
    log_partition: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    mean_gap: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def n_samples(self) -> int:
        """S."""
        return self.sample_top.shape[1]

    def softmax_at(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """`log_partition` and `mean_gap` at one temperature, each (Q,).

        Raises:
            OvertopError: the ranking was made without that temperature.
        """
        if temperature not in self.temperatures:
            kept = ", ".join(map(str, self.temperatures)) or "none"
            raise OvertopError(f"the ranking kept no softmax at temperature {temperature} (kept: {kept}); rank again")
        column = self.temperatures.index(temperature)
        return self.log_partition[:, column], self.mean_gap[:, column]


def write_ranking(path: str | Path, rankings: Mapping[Direction, Ranking], attributes: Mapping[str, Any]) -> None:
    """Write the rankings of both directions with their provenance (JSON-able) to one HDF5 file."""
    arrays = {}
    for direction, ranking in rankings.items():
        arrays[f"{direction}/query_ids"] = encode(ranking.query_ids)
        arrays[f"{direction}/gallery_ids"] = encode(ranking.gallery_ids)
        arrays[f"{direction}/temperatures"] = np.asarray(ranking.temperatures, dtype=np.float64)
        for name in ARRAYS:
            arrays[f"{direction}/{name}"] = getattr(ranking, name)
    write_arrays(path, SCHEMA, arrays, attributes)


def read_ranking(path: str | Path) -> tuple[dict[Direction, Ranking], dict[str, Any]]:
    """The rankings and attributes that `write_ranking` wrote.

    Raises:
        OvertopError: the file is missing, truncated, altered, or of another kind.
    """
    arrays, attributes = read_arrays(path, SCHEMA)
    rankings = {}
    for direction in DIRECTIONS:
        found = {name: arrays[f"{direction}/{name}"] for name in ARRAYS}
        rankings[direction] = Ranking(
            query_ids=decode(arrays[f"{direction}/query_ids"]),
            gallery_ids=decode(arrays[f"{direction}/gallery_ids"]),
            temperatures=tuple(arrays[f"{direction}/temperatures"].tolist()),
            **found,
        )
    return rankings, attributes
