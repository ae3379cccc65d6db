"""The folder of a prepared gallery, written once and opened by memory mapping.

It contains

- `gallery.json`: schema, counts, dimensions, fingerprint, encoder, bank, and sizes and digests of the other files;
- `items.parquet`: one row per item, copies included, with its name, the first item with the same embeddings, its
  group, and its offsets if there is a bank;
- `sample-0.npy`, ...: the unit vectors of the distinct items in each sample, float32 (n, D).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from overtop.errors import OvertopError
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.vectors import UnitSource
from overtop.storage.embedding_files import GALLERY_FACTS
from overtop.storage.files import sha256
from overtop.storage.json_files import write_json
from overtop.storage.tables import write_table
from overtop.terms import SOFTMAX_TEMPERATURE

SCHEMA = "gallery/1"
FACTS, ITEMS, SAMPLE = GALLERY_FACTS, "items.parquet", "sample-{}.npy"
"""Files of the folder of a prepared gallery."""

OFFSETS = "offset_"
"""Prefix of the columns of `ITEMS` with the offsets of the items, before the name of the normalisation."""


@dataclass(frozen=True)
class PreparedGallery:
    """A gallery that is ready to be ranked.

    Attributes:
        items: the distinct items with their groups; their source is a `UnitSource`.
        fingerprint: hex digest of the embeddings as they were read, and of the names of the items.
        encoder: label of the encoder; None if unknown.
        bank: facts of the bank: `size`, `fingerprint` and what the caller adds; None without a bank.
        temperature: T of the softmax by which the offsets were computed, and by which they are used.
        normalisation: offsets of the N items; None without a bank.
    """

    items: GroupedItems
    fingerprint: str
    encoder: str | None = None
    bank: Mapping[str, Any] | None = None
    temperature: float = SOFTMAX_TEMPERATURE
    normalisation: Normalisation | None = None

    @property
    def item_ids(self) -> list[str]:
        """Names of all N items, copies included."""
        return self.items.items.item_ids

    @property
    def n_items(self) -> int:
        """The number of items N, copies included."""
        return len(self.item_ids)

    @property
    def n_samples(self) -> int:
        """The number of samples S."""
        return self.items.items.source.n_samples

    @property
    def dims(self) -> tuple[int, ...]:
        """The embedding width D of each sample."""
        return self.items.items.source.dims


def write_sample(path: Path, shape: tuple[int, int], parts: Iterable[np.ndarray]) -> np.ndarray:
    """Write the unit vectors of one sample, and return them memory-mapped.

    Args:
        path: the file.
        shape: (n, D) of all parts together.
        parts: float32 blocks of rows, in order.
    """
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for part in parts:
            file.write(part.data)
    return _map_sample(path)


def _map_sample(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def write_facts(folder: Path, gallery: PreparedGallery) -> None:
    """Write everything but the unit vectors, which are in the folder already.

    Args:
        folder: the folder of the gallery, of which all files are listed with their digests.
        gallery: the gallery.
    """
    offsets = {} if gallery.normalisation is None else gallery.normalisation.offsets
    table = {"item_id": gallery.item_ids, "first": gallery.items.items.first, "group": gallery.items.groups}
    write_table(folder / ITEMS, pd.DataFrame(table | {OFFSETS + name: values for name, values in offsets.items()}))
    files = sorted(folder.iterdir())
    facts = {
        "schema": SCHEMA,
        "items": gallery.n_items,
        "distinct_items": gallery.items.items.source.n_items,
        "samples": gallery.n_samples,
        "dims": gallery.dims,
        "fingerprint": gallery.fingerprint,
        "encoder": gallery.encoder,
        "bank": gallery.bank,
        "temperature": gallery.temperature,
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in files},
    }
    write_json(folder / FACTS, facts)


def open_gallery(folder: str | Path, *, verify: bool = False) -> PreparedGallery:
    """Open a gallery that `prepare_gallery` stored; its unit vectors are memory-mapped.

    The sizes of all files and the digest of `items.parquet` are compared with those that were stored.

    Args:
        folder: the folder.
        verify: also compare the digests of the unit vectors, which reads them whole.

    Raises:
        OvertopError: the folder is not a gallery, or a file is missing, truncated or altered.
    """
    folder = Path(folder)
    facts = _read_facts(folder)
    for name, stored in facts["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != stored["bytes"]:
            raise OvertopError(f"{path}: is missing or truncated; prepare the gallery again")
        if (verify or name == ITEMS) and sha256(path) != stored["sha256"]:
            raise OvertopError(f"{path}: content differs from its digest; prepare the gallery again")
    columns = _read_items(folder / ITEMS)
    samples = [_map_sample(folder / SAMPLE.format(s)) for s in range(facts["samples"])]
    item_ids, first, groups = columns["item_id"], columns["first"], columns["group"]
    distinct_ids = [item_ids[row] for row in np.flatnonzero(first == np.arange(len(first)))]
    distinct = DistinctItems(UnitSource(samples, distinct_ids), item_ids, first)
    offsets = {name.removeprefix(OFFSETS): values for name, values in columns.items() if name.startswith(OFFSETS)}
    temperature = facts["temperature"]
    return PreparedGallery(
        items=GroupedItems(distinct, None if np.array_equal(groups, first) else groups),
        fingerprint=facts["fingerprint"],
        encoder=facts["encoder"],
        bank=facts["bank"],
        temperature=temperature,
        normalisation=Normalisation(temperature, offsets) if offsets else None,
    )


def _read_items(path: Path) -> dict[str, Any]:
    """Return the columns of `ITEMS` by name: the names of the items as a list, numbers as arrays."""
    table = pq.read_table(path)
    numbers = {name: table[name].to_numpy() for name in table.column_names if name != "item_id"}
    return {"item_id": table["item_id"].to_pylist(), **numbers}


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    if not path.is_file():
        raise OvertopError(f"{folder}: is not a prepared gallery; prepare one with `overtop prepare`")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        schema = facts["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise OvertopError(f"{path}: is damaged ({error}); prepare the gallery again") from error
    if schema != SCHEMA:
        raise OvertopError(f"{path}: has schema {schema!r}, expected {SCHEMA!r}; prepare the gallery again")
    return facts
