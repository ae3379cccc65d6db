"""The radii of all queries in the spaces of both protocols, and their file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import read_arrays, write_arrays
from overtop.terms import DIRECTIONS, Direction, Protocol

SCHEMA = "radii/2"


@dataclass(frozen=True)
class Radius:
    """How far each of Q queries may move before its top-1 changes, in one space. Field names are names in the file.

    Attributes:
        exact: (Q,) float64, the minimum of Eq. 11; infinite where no item competes with the top-1.
        certified: (Q,) bool, whether the items of the ranking alone prove `exact`; for the other queries the rest of
            the gallery was read, unless the ranking is that of an approximate search.
        top1: (Q,) int32, gallery index of the best item.
    """

    exact: np.ndarray
    certified: np.ndarray
    top1: np.ndarray


@dataclass(frozen=True)
class PublishedRadius(Radius):
    """The radius in the space of `published`, with the approximations of the paper, which `corrected` does not have.

    Attributes:
        linear: (Q,) float64, Eq. 14 for the best two items.
        walk: (Q,) float64, distance of the PGD attack of Eq. 12.
    """

    linear: np.ndarray
    walk: np.ndarray


AnyRadius = TypeVar("AnyRadius", bound=Radius)


@dataclass(frozen=True)
class Radii:
    """The radius in the space of each protocol; `published` is None where the members' dimensions differ."""

    published: PublishedRadius | None
    corrected: Radius

    def under(self, protocol: Protocol) -> Radius:
        """Return the radius in the space of one protocol.

        Raises:
            OvertopError: the published space does not exist for this posterior.
        """
        return self.corrected if protocol == "corrected" else self.published_radius()

    def published_radius(self) -> PublishedRadius:
        """Return the radius in the space of `published`.

        Raises:
            OvertopError: the space does not exist for this posterior.
        """
        if self.published is None:
            raise OvertopError(
                "protocol 'published' averages embeddings over samples, and the members of this ensemble differ in "
                "dimension; use adversarial_exact under 'corrected'"
            )
        return self.published


def write_radii(path: str | Path, radii: Mapping[Direction, Radii], attributes: Mapping[str, Any]) -> None:
    """Write the radii of one or both directions and their provenance to one HDF5 file.

    Args:
        path: the file.
        radii: the radii of each direction.
        attributes: provenance, values that JSON can represent.
    """
    arrays = {
        f"{direction}/{protocol}/{field.name}": getattr(radius, field.name)
        for direction, both in radii.items()
        for protocol, radius in (("published", both.published), ("corrected", both.corrected))
        if radius is not None
        for field in fields(radius)
    }
    write_arrays(path, SCHEMA, arrays, attributes)


def read_radii(path: str | Path) -> tuple[dict[Direction, Radii], dict[str, Any]]:
    """Read the radii and the provenance that `write_radii` wrote.

    Raises:
        OvertopError: the file is missing, truncated, modified, or not a file of radii.
    """
    arrays, attributes = read_arrays(path, SCHEMA)
    radii: dict[Direction, Radii] = {}
    for direction in DIRECTIONS:
        if f"{direction}/corrected/exact" not in arrays:
            continue
        has_published = f"{direction}/published/exact" in arrays
        radii[direction] = Radii(
            published=_radius(PublishedRadius, arrays, f"{direction}/published") if has_published else None,
            corrected=_radius(Radius, arrays, f"{direction}/corrected"),
        )
    return radii, attributes


def _radius(kind: type[AnyRadius], arrays: Mapping[str, np.ndarray], prefix: str) -> AnyRadius:
    """Return the radius whose arrays are named `prefix/field`."""
    return kind(**{field.name: arrays[f"{prefix}/{field.name}"] for field in fields(kind)})
