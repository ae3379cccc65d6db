"""Similarities that are normalised per gallery item: offsets and their file, and what the ranking pass returns.

Some gallery items are similar to everything ("hubs"): they come first for many queries and are right for few. An offset
per item, in units of similarity, corrects for that: the normalised similarity of a query to item j is s_j - o_j.
`retrieval.bank` computes offsets from a bank of unlabelled queries. This module has no heavy imports, so that rankings
are read without torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import decode_strings, encode_strings, read_arrays, write_arrays
from overtop.storage.digests import REBUILD
from overtop.terms import Direction

SCHEMA = "bank/1"


class Normalisation(NamedTuple):
    """Offsets of the N gallery items of one direction, for one ranking pass.

    Attributes:
        temperature: T of the softmax over the normalised similarities, exp((s_j - o_j) / T).
        offsets: by name of the normalisation, float32 (N,), o_j in units of similarity, in the order of the gallery.
    """

    temperature: float
    offsets: Mapping[str, np.ndarray]


class NormalisedRanking(NamedTuple):
    """What the ranking pass keeps of the normalised similarities of Q queries, for one normalisation.

    Attributes:
        neg_log_probability: float64 (Q,), minus the log of the probability of the top-1 by the similarities themselves,
            under the softmax of the normalised similarities, summed over the items of its group; at least 0.
        top_ids: int32 (Q, K), gallery indices of the best items by normalised similarity, best first (K at most 10).
        truncation_bound: float64 (Q,), by how much `neg_log_probability`, which then is that over the items that a
            search returned, can increase through the other items. None if it is that over the whole gallery.
    """

    neg_log_probability: np.ndarray
    top_ids: np.ndarray
    truncation_bound: np.ndarray | None = None


def write_normalisations(
    path: str | Path,
    normalisations: Mapping[Direction, Normalisation],
    galleries: Mapping[Direction, Sequence[str]],
    attributes: Mapping[str, Any],
) -> None:
    """Write the offsets of both directions and their provenance to one HDF5 file.

    Args:
        path: the file.
        normalisations: by direction.
        galleries: the N names of the gallery items of each direction.
        attributes: provenance of the bank, values that JSON can represent.
    """
    arrays = {}
    for direction, (temperature, offsets) in normalisations.items():
        arrays[f"{direction}/gallery_ids"] = encode_strings(galleries[direction])
        arrays[f"{direction}/temperature"] = np.asarray(temperature, dtype=np.float64)
        arrays |= {f"{direction}/offsets/{name}": values for name, values in offsets.items()}
    write_arrays(path, SCHEMA, arrays, attributes)


def read_bank(path: str | Path) -> dict[str, Any]:
    """Read the provenance of the bank that `write_normalisations` wrote.

    Raises:
        OvertopError: the file is missing or damaged.
    """
    return read_arrays(path, SCHEMA)[1]


def read_normalisations(
    path: str | Path, galleries: Mapping[Direction, Sequence[str]]
) -> dict[Direction, Normalisation]:
    """Read the offsets of some gallery items that `write_normalisations` wrote.

    Args:
        path: the file.
        galleries: the names of the gallery items by direction. An offset does not depend on the other items, so a
            gallery may lack some of the items in the file.

    Returns:
        The normalisation of each direction in `galleries`, with offsets in the order of its items.

    Raises:
        OvertopError: the file is missing or damaged, or lacks an item.
    """
    arrays, _ = read_arrays(path, SCHEMA)
    normalisations = {}
    for direction, gallery in galleries.items():
        position = {name: row for row, name in enumerate(decode_strings(arrays[f"{direction}/gallery_ids"]))}
        missing = next((name for name in gallery if name not in position), None)
        if missing is not None:
            raise OvertopError(f"{path}: has no offset of item {missing!r}; {REBUILD}")
        rows = np.array([position[name] for name in gallery])
        prefix = f"{direction}/offsets/"
        offsets = {
            name.removeprefix(prefix): values[rows] for name, values in arrays.items() if name.startswith(prefix)
        }
        normalisations[direction] = Normalisation(float(arrays[f"{direction}/temperature"]), offsets)
    return normalisations
