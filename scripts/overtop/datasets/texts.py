"""Texts without images, such as the queries of a search: a table with one row per text, or a file with one per line.

A table (`.csv`, `.parquet`) has the column `text` or `caption`, and optionally `id`. Without ids, and in a file of
lines (`.txt`), texts are numbered from 0.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from overtop.config.datasets import TextsDataset
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_whole
from overtop.errors import OvertopError
from overtop.storage.foreign import read_text
from overtop.storage.foreign_tables import column_names, read_columns
from overtop.storage.split import Split

COLUMNS = ("text", "caption")
"""Names of the column of the texts; the first one that exists is used."""

SUFFIXES = (".csv", ".parquet", ".txt")
"""Suffixes of the files."""


def fetch(name: str, spec: TextsDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Copy the file into `raw`, after checking that it can be read.

    Raises:
        OvertopError: the data set has no such split, or the file does not exist or has no valid texts.
    """
    path = check(name, spec, split, context)
    read_texts(path)
    target = f"texts{path.suffix.lower()}"
    copy_into(raw, path.parent, {target: path.name})
    remove_other_files(raw, [target])


def check(name: str, spec: TextsDataset, split: str, context: FetchContext) -> Path:
    """Return the existing file of the texts.

    Raises:
        OvertopError: the data set has no such split, or the file does not exist.
    """
    return resolve_whole(name, spec.source, split, context)


def read(name: str, spec: TextsDataset, raw: Path, split: str) -> Split:
    """The texts of the file, without images."""
    ids, texts = read_texts(next(path for path in sorted(raw.glob("texts.*")) if path.suffix in SUFFIXES))
    return Split([], [], ids, texts, np.full(len(texts), -1, dtype=np.int64))


def read_texts(path: Path) -> tuple[list[str], list[str]]:
    """Return the ids and the texts of a file.

    Raises:
        OvertopError: the file is no such file, has no text, an empty one, or an id twice.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OvertopError(f"{path}: is neither .csv, .parquet nor .txt; name a file of texts")
    if suffix == ".txt":
        texts = read_text(path).rstrip().splitlines()
        ids = None
    else:
        ids, texts = _read_table(path)
    ids = [str(number) for number in range(len(texts))] if ids is None else ids
    _check_texts(path, ids, texts)
    return ids, texts


def _read_table(path: Path) -> tuple[list[str] | None, list[str]]:
    """The ids, if there are any, and the texts of a table."""
    names = column_names(path)
    column = next((name for name in COLUMNS if name in names), None)
    if column is None:
        raise OvertopError(f"{path}: has columns {', '.join(map(repr, names))}; it needs `text`, and optionally `id`")
    rows = read_columns(path, [column, *(["id"] if "id" in names else [])])
    return rows["id"].tolist() if "id" in rows else None, rows[column].tolist()


def _check_texts(path: Path, ids: list[str], texts: list[str]) -> None:
    if not texts:
        raise OvertopError(f"{path}: has no text; write one per row")
    empty = next((row for row, text in enumerate(texts) if not text.strip()), None)
    if empty is not None:
        raise OvertopError(f"{path}: text number {empty + 1} is empty; write a text or remove the row")
    repeated = pd.Series(ids).duplicated()
    if repeated.any():
        raise OvertopError(f"{path}: id {ids[int(repeated.argmax())]!r} occurs more than once; give each text its own")
