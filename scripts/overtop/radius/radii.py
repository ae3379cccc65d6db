"""How far a query must move before its top-1 changes: exactly, linearly, and by the paper's walk.

Two spaces, one per protocol. `published`: the mean over samples of the un-normalised embeddings, with the ranking of
that mean and the query at its own length. `corrected`: the samples' unit embeddings concatenated, divided by sqrt(S);
the cosine there is the mean similarity, and the query has length one.

Defined values: a gallery that holds the top-1 twice, or a tie for the first place, gives 0. A gallery of one item gives
infinity for `exact` and `linear` and step x iterations for `walk`. So does a rival exactly opposite to the top-1 as the
query sees it, where the gradient of Eq. 12 vanishes, but for `exact`, which is finite there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import read_arrays, write_arrays
from overtop.terms import DIRECTIONS, Direction, Protocol

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
