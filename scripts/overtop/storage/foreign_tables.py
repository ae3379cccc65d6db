"""Tables that others made, CSV, TSV or parquet, with every value as text."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from overtop.errors import OvertopError
from overtop.storage.bounds import MAX_TABLE_BYTES, MAX_TABLE_ROWS, largest_array
from overtop.storage.foreign import report_damage

_SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t"}

_WHAT, _FIX = "cannot be read as a table", "give UTF-8 CSV or parquet"

_BATCH_ROWS = 4096

_LONGEST_HEADER = 2**16

_LARGEST_EXACT = 2**53
"""Beyond it a float is not the whole number that was written."""


def column_names(path: Path) -> list[str]:
    """The names of the columns of a table, without white space around them.

    Args:
        path: CSV (`.csv` or `.txt`, with commas or semicolons), TSV (`.tsv`) or parquet (any other file).

    Raises:
        OvertopError: the file is missing or no table, or has more bytes or rows than the bounds.
    """
    if path.suffix.lower() in _SEPARATORS:
        return [name.strip() for name in _read_header(_iterate_lines(path))]
    return [name.strip() for name in _open_parquet(path).schema_arrow.names]


def read_columns(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return some columns of a table as text; missing values are empty.

    Words such as `NA` and `None` are text. Whole numbers of a parquet file that a missing value in their column turned
    into floats (`12.0`) are whole numbers.

    Args:
        path: as for `column_names`.
        columns: some of its names.

    Raises:
        OvertopError: as `column_names`; a column is there twice, has values that are no text, or a row of a CSV file
            has more or fewer fields than there are columns.
    """
    names = column_names(path)
    for column in columns:
        if names.count(column) > 1:
            raise OvertopError(f"{path}: has {names.count(column)} columns {column!r}; keep one")
    places = [names.index(column) for column in columns]
    values = _read_csv(path, places) if path.suffix.lower() in _SEPARATORS else _read_parquet(path, places)
    return pd.DataFrame(dict(zip(columns, values, strict=True)), dtype=object)


def _iterate_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows of a CSV file, each with the number of its last line; empty lines are ignored."""
    with report_damage(path, _FIX, _WHAT):
        if path.stat().st_size == 0:
            raise ValueError("it is empty")
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError(f"it has more than {MAX_TABLE_BYTES:,} bytes")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=_find_separator(path, file), strict=True)
            for row in filter(None, reader):
                yield reader.line_num, row


def _find_separator(path: Path, file: TextIO) -> str:
    """The separator of a CSV file: spreadsheets write semicolons where the comma is the decimal mark."""
    separator = _SEPARATORS[path.suffix.lower()]
    header = file.readline(_LONGEST_HEADER)
    file.seek(0)
    is_other = separator == "," and ";" in header and "," not in header
    return ";" if is_other else separator


def _read_header(lines: Iterator[tuple[int, list[str]]]) -> list[str]:
    return next(lines, (0, []))[1]


def _read_csv(path: Path, places: Sequence[int]) -> list[list[str]]:
    """Some columns of a CSV file, by their places."""
    lines = _iterate_lines(path)
    width = len(_read_header(lines))
    values: list[list[str]] = [[] for _ in places]
    for number, row in lines:
        if len(row) != width:
            raise OvertopError(
                f"{path}, line {number}: has {len(row)} fields, but there are {width} columns; put texts that contain "
                "commas or semicolons between quotation marks"
            )
        for column, place in zip(values, places, strict=True):
            column.append(row[place])
    return values


def _open_parquet(path: Path, texts: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a parquet file; equal values of the columns `texts` are kept in memory once."""
    with report_damage(path, _FIX, _WHAT):
        file = pq.ParquetFile(path, read_dictionary=list(texts), page_checksum_verification=True)
        if file.metadata.num_rows > MAX_TABLE_ROWS:
            raise ValueError(f"it has {file.metadata.num_rows:,} rows, more than {MAX_TABLE_ROWS:,}")
        return file


def _read_parquet(path: Path, places: Sequence[int]) -> list[list[str]]:
    """Some columns of a parquet file, by their places, in batches: a few bytes can stand for any number of values."""
    schema = _open_parquet(path).schema_arrow
    names = [schema.names[place] for place in places]
    texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
    with report_damage(path, _FIX, _WHAT), _open_parquet(path, texts) as file:
        largest = largest_array(path.stat().st_size)
        _check_stored_bytes(file.metadata, largest)
        batches, size, bound = [], 0, min(MAX_TABLE_BYTES, largest)
        for batch in file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
            size += batch.nbytes
            if size > bound:
                break
            batches.append(batch)
        if size > bound:
            raise ValueError(f"its columns have {size:,} bytes or more, and may have {bound:,}")
        return [_column_as_text(name, [batch[name] for batch in batches]) for name in names]


def _check_stored_bytes(metadata: pq.FileMetaData, bound: int) -> None:
    """Raise a ValueError if the columns have too many bytes before compression, as the file states them.

    Those of a single column are not asked for: damaged statistics of a column abort the process there.
    """
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if size > bound:
        raise ValueError(f"its columns have {size:,} bytes, and may have {bound:,}")


def _column_as_text(name: str, parts: Sequence[pa.Array]) -> list[str]:
    """The values of a column, in parts, as text, empty where they are missing."""
    if parts and pa.types.is_floating(parts[0].type):
        return _floats_as_text(np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts]).astype(float))
    return [text for part in parts for text in _as_text(name, part)]


def _as_text(name: str, column: pa.Array) -> list[str]:
    """Values other than floats as text, empty where they are missing."""
    if pa.types.is_dictionary(column.type):
        words = [*_as_text(name, column.dictionary), ""]
        return [words[-1 if index is None else index] for index in column.indices.to_pylist()]
    is_text = any(check(column.type) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_null))
    if not (is_text or pa.types.is_integer(column.type)):
        raise ValueError(f"column {name!r} has values of type {column.type}, not text")
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _floats_as_text(values: np.ndarray) -> list[str]:
    """Floats as text, without decimals if all are whole numbers; NaN is missing."""
    known = values[~np.isnan(values)]
    if (np.abs(known) < _LARGEST_EXACT).all() and (known % 1 == 0).all():
        return ["" if np.isnan(value) else str(int(value)) for value in values.tolist()]
    return ["" if np.isnan(value) else str(value) for value in values.tolist()]
