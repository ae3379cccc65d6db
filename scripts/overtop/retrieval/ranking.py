"""The ranking of a gallery for every query, and its file.

Similarity is the dot product of unit embeddings in each sample, averaged over the samples (float32). Among items of
equal similarity the smaller gallery index comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import decode_strings, encode_strings, read_arrays, write_arrays
from overtop.terms import DIRECTIONS, Direction

SCHEMA = "ranking/2"
ARRAYS = ("top_ids", "top_scores", "sample_top", "log_partition", "mean_gap")
"""Attributes of `Ranking` that are stored as they are."""


@dataclass(frozen=True)
class Ranking:
    """The results of the ranking pass for Q queries over a gallery of N items with S samples.

    Attributes:
        query_ids: Q names.
        gallery_ids: N names.
        top_ids: (Q, K) int32 gallery indices of the best items by mean similarity, best first.
        top_scores: (Q, K) float32 mean similarities of `top_ids`.
        sample_top: (Q, S, k) int32 gallery indices of the best items in each sample, best first.
        temperatures: T ascending temperatures of the softmax over the gallery.
        log_partition: (Q, T) float64, log of the sum of exp((s - s_(1))/temperature) over the gallery, where s is the
            mean similarity and s_(1) its largest value; at least 0.
        mean_gap: (Q, T) float64, s_(1) minus the mean of s under the softmax; at least 0.
        groups: (N,) int32, the group of each gallery item. Items of a group are known to belong together (captions of
            one image, exact duplicates) and do not compete under the protocol `corrected`. None: no two items do.
    """

    query_ids: list[str]
    gallery_ids: list[str]
    top_ids: np.ndarray
    top_scores: np.ndarray
    sample_top: np.ndarray
    temperatures: tuple[float, ...] = ()
    log_partition: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    mean_gap: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    groups: np.ndarray | None = None

    @property
    def item_groups(self) -> np.ndarray:
        """(N,) the group of each gallery item."""
        return np.arange(len(self.gallery_ids)) if self.groups is None else self.groups

    @property
    def n_samples(self) -> int:
        """S, the number of samples."""
        return self.sample_top.shape[1]

    def softmax_at(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """Return `log_partition` and `mean_gap` at one temperature, each (Q,).

        Raises:
            OvertopError: the ranking was computed without this temperature.
        """
        if temperature not in self.temperatures:
            available = ", ".join(map(str, self.temperatures)) or "none"
            raise OvertopError(
                f"the ranking has no softmax sums at temperature {temperature} (available: {available}); "
                "rank again with this temperature"
            )
        column = self.temperatures.index(temperature)
        return self.log_partition[:, column], self.mean_gap[:, column]


def write_ranking(path: str | Path, rankings: Mapping[Direction, Ranking], attributes: Mapping[str, Any]) -> None:
    """Write the rankings of both directions and their provenance to one HDF5 file.

    Args:
        path: the file.
        rankings: the ranking of each direction.
        attributes: provenance, values that JSON can represent.
    """
    arrays = {}
    for direction, ranking in rankings.items():
        arrays[f"{direction}/query_ids"] = encode_strings(ranking.query_ids)
        arrays[f"{direction}/gallery_ids"] = encode_strings(ranking.gallery_ids)
        arrays[f"{direction}/temperatures"] = np.asarray(ranking.temperatures, dtype=np.float64)
        for name in ARRAYS:
            arrays[f"{direction}/{name}"] = getattr(ranking, name)
    write_arrays(path, SCHEMA, arrays, attributes)


def read_ranking(path: str | Path) -> tuple[dict[Direction, Ranking], dict[str, Any]]:
    """Read the rankings and the provenance that `write_ranking` wrote.

    Raises:
        OvertopError: the file is missing, truncated, modified, or not a ranking.
    """
    arrays, attributes = read_arrays(path, SCHEMA)
    rankings = {
        direction: Ranking(
            query_ids=decode_strings(arrays[f"{direction}/query_ids"]),
            gallery_ids=decode_strings(arrays[f"{direction}/gallery_ids"]),
            temperatures=tuple(arrays[f"{direction}/temperatures"].tolist()),
            **{name: arrays[f"{direction}/{name}"] for name in ARRAYS},
        )
        for direction in DIRECTIONS
    }
    return rankings, attributes
