"""The ranking of a gallery for every query, and its file.

Similarity is the dot product of unit embeddings in each sample, averaged over the samples (float32). Among items of
equal similarity the smaller gallery index comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from overtop.errors import OvertopError
from overtop.retrieval.normalisation import NormalisedRanking
from overtop.storage.arrays import decode_strings, encode_strings, read_arrays, write_arrays
from overtop.terms import DIRECTIONS, VOTE_TOP, Direction, Protocol

SCHEMA = "ranking/3"

MAX_RIVALS = VOTE_TOP - 1
"""Other groups whose best items are kept: with the top-1, as many as the best items of a sample."""

ARRAYS = (
    "top_ids", "top_scores", "sample_top", "log_partition", "mean_gap", "group_log_partition", "group_entropy",
    "rival_ids", "rival_scores",
)  # fmt: skip
"""Attributes of `Ranking` that are stored as they are."""

TRUNCATION_BOUND = "truncation_bound"
"""Attribute of `Ranking` that is stored only where there is a bound."""

NORMALISED = "normalised"
"""Folder of the file that holds `Ranking.normalised`."""


def _empty() -> np.ndarray:
    """Return the array of what a ranking does not contain."""
    return np.empty((0, 0))


def count_groups(groups: np.ndarray) -> int:
    """Return the number of groups of N items: the distinct numbers, which are not negative; without sorting them."""
    return int(np.count_nonzero(np.bincount(groups)))


class Softmax(NamedTuple):
    """The softmax over the gallery for Q queries, whose classes are items or groups of items.

    Attributes:
        neg_log_probability: (Q,) minus the log of the probability of the top-1's class; at least 0.
        entropy: (Q,) in nats.
        log_partition: (Q,) log of the sum of exp((s - s_(1))/temperature) over all items.
        classes: number of classes.
    """

    neg_log_probability: np.ndarray
    entropy: np.ndarray
    log_partition: np.ndarray
    classes: int


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
        group_log_partition: (Q, T) float64, minus the log of the probability that the softmax over the gallery gives to
            the group of the top-1; at least 0.
        group_entropy: (Q, T) float64, entropy of the probabilities of the groups, in nats.
        rival_ids: (Q, R) int32, the best item of each of the best groups but that of the top-1, best first. R is at
            most `MAX_RIVALS`.
        rival_scores: (Q, R) float32, mean similarities of `rival_ids`.
        normalised: by name of the normalisation, the results with similarities that are normalised per item.
        truncation_bound: (Q, T) float64, by how much `log_partition` and `group_log_partition`, which then are those
            over the items that a search returned, can increase through the other items (`retrieval.truncated`). Empty
            if they are those over the whole gallery.
    """

    query_ids: list[str]
    gallery_ids: list[str]
    top_ids: np.ndarray
    top_scores: np.ndarray
    sample_top: np.ndarray
    temperatures: tuple[float, ...] = ()
    log_partition: np.ndarray = field(default_factory=_empty)
    mean_gap: np.ndarray = field(default_factory=_empty)
    groups: np.ndarray | None = None
    group_log_partition: np.ndarray = field(default_factory=_empty)
    group_entropy: np.ndarray = field(default_factory=_empty)
    rival_ids: np.ndarray = field(default_factory=_empty)
    rival_scores: np.ndarray = field(default_factory=_empty)
    normalised: Mapping[str, NormalisedRanking] = field(default_factory=dict)
    truncation_bound: np.ndarray = field(default_factory=_empty)

    @property
    def item_groups(self) -> np.ndarray:
        """(N,) the group of each gallery item."""
        return np.arange(len(self.gallery_ids)) if self.groups is None else self.groups

    @property
    def n_samples(self) -> int:
        """S, the number of samples."""
        return self.sample_top.shape[1]

    def softmax_at(self, temperature: float, protocol: Protocol) -> Softmax:
        """Return the softmax over the gallery at one temperature: over its items (`published`) or groups (`corrected`).

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
        log_partition = self.log_partition[:, column]
        if protocol == "published":
            entropy = log_partition + self.mean_gap[:, column] / temperature
            return Softmax(log_partition, entropy, log_partition, len(self.gallery_ids))
        classes = count_groups(self.item_groups)
        return Softmax(self.group_log_partition[:, column], self.group_entropy[:, column], log_partition, classes)


def write_ranking(path: str | Path, rankings: Mapping[Direction, Ranking], attributes: Mapping[str, Any]) -> None:
    """Write the rankings of one or both directions and their provenance to one HDF5 file.

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
        arrays[f"{direction}/groups"] = ranking.item_groups.astype(np.int32)
        for name in ARRAYS:
            arrays[f"{direction}/{name}"] = getattr(ranking, name)
        if ranking.truncation_bound.size:
            arrays[f"{direction}/{TRUNCATION_BOUND}"] = ranking.truncation_bound
        for name, normalised in ranking.normalised.items():
            for field_name, values in normalised._asdict().items():
                if values is not None:
                    arrays[f"{direction}/{NORMALISED}/{name}/{field_name}"] = values
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
            groups=arrays[f"{direction}/groups"],
            normalised=_read_normalised(arrays, f"{direction}/{NORMALISED}/"),
            truncation_bound=arrays.get(f"{direction}/{TRUNCATION_BOUND}", _empty()),
            **{name: arrays[f"{direction}/{name}"] for name in ARRAYS},
        )
        for direction in DIRECTIONS
        if f"{direction}/query_ids" in arrays
    }
    return rankings, attributes


def _read_normalised(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, NormalisedRanking]:
    """Return the results by name of the normalisation; the arrays are named prefix, name, "/", field."""
    names = sorted({key.removeprefix(prefix).split("/")[0] for key in arrays if key.startswith(prefix)})
    return {
        name: NormalisedRanking(
            **{
                field_name: arrays[key]
                for field_name in NormalisedRanking._fields
                if (key := f"{prefix}{name}/{field_name}") in arrays
            }
        )
        for name in names
    }
