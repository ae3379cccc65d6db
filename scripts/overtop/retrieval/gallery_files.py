"""The folder of a prepared gallery, written once and opened by memory mapping.

It contains

- `gallery.json`: schema, counts, dimensions, fingerprint, encoder, bank, and the digests of the unit vectors;
- `items.parquet`: one row per item, copies included, with its name, the first item with the same embeddings, its
  group, and its offsets if there is a bank;
- `sample-0.npy`, ...: the unit vectors of the distinct items in each sample, float32 (n, D). Each block of
  `unit_files.DIGEST_ROWS` of them has a digest, which is checked when one of them is read for the first time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.unit_files import PREPARE_AGAIN, StoredUnits, digest_blocks
from overtop.storage.embedding_files import GALLERY_FACTS
from overtop.storage.json_files import read_json, write_json
from overtop.storage.tables import open_parquet, write_table
from overtop.terms import SOFTMAX_TEMPERATURE

SCHEMA = "gallery/2"
FACTS, ITEMS = GALLERY_FACTS, "items.parquet"
"""Files of the folder of a prepared gallery, besides the unit vectors."""

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


def write_facts(folder: Path, gallery: PreparedGallery) -> None:
    """Write everything but the unit vectors, which are in the folder already.

    Args:
        folder: the folder of the gallery, of which all files are listed with their digests.
        gallery: the gallery.
    """
    offsets = {} if gallery.normalisation is None else gallery.normalisation.offsets
    table = {"item_id": gallery.item_ids, "first": gallery.items.items.first, "group": gallery.items.groups}
    write_table(folder / ITEMS, pd.DataFrame(table | {OFFSETS + name: values for name, values in offsets.items()}))
    source = gallery.items.items.source
    facts = {
        "schema": SCHEMA,
        "items": gallery.n_items,
        "distinct_items": source.n_items,
        "samples": gallery.n_samples,
        "dims": gallery.dims,
        "fingerprint": gallery.fingerprint,
        "encoder": gallery.encoder,
        "bank": gallery.bank,
        "temperature": gallery.temperature,
        "digests": [digest_blocks(source.read(s, 0, source.n_items)) for s in range(gallery.n_samples)],
    }
    write_json(folder / FACTS, facts)


def open_gallery(folder: str | Path) -> PreparedGallery:
    """Open a gallery that `prepare_gallery` stored; its unit vectors are memory-mapped.

    Everything is compared with its digest: unit vectors when they are read for the first time.

    Args:
        folder: the folder.

    Raises:
        OvertopError: the folder is not a gallery, or a file is missing, truncated or altered.
    """
    folder = Path(folder)
    facts = _read_facts(folder)
    columns = _read_items(folder / ITEMS)
    item_ids, first, groups = columns["item_id"], columns["first"], columns["group"]
    distinct_ids = [item_ids[row] for row in np.flatnonzero(first == np.arange(len(first)))]
    shapes = [(facts["distinct_items"], dim) for dim in facts["dims"]]
    distinct = DistinctItems(StoredUnits(folder, shapes, distinct_ids, facts["digests"]), item_ids, first)
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
    table = open_parquet(path, PREPARE_AGAIN).read()
    numbers = {name: table[name].to_numpy() for name in table.column_names if name != "item_id"}
    return {"item_id": table["item_id"].to_pylist(), **numbers}


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    if not path.is_file():
        raise OvertopError(f"{folder}: is not a prepared gallery; prepare one with `overtop prepare`")
    facts = read_json(path, PREPARE_AGAIN)
    schema = facts["schema"]
    if schema != SCHEMA:
        raise OvertopError(f"{path}: has schema {schema!r}, expected {SCHEMA!r}; {PREPARE_AGAIN}")
    return facts
