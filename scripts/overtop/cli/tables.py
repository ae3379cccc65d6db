"""Tables that a user hands over: CSV, TSV or parquet, with every value as text."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from overtop.errors import OvertopError, did_you_mean
from overtop.storage.foreign_tables import column_names, read_columns

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
"""Suffixes of the tables that are read."""


def read_text_columns(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Return some columns of a table as text, without white space around the values; missing values are empty.

    Whole numbers that a missing value in their column turned into floats (`12.0`) are read as whole numbers.

    Args:
        path: the table, `.csv`, `.tsv` or `.parquet`.
        required: columns that it must have.
        optional: columns that are returned if it has them.

    Raises:
        OvertopError: the file is missing, is no table, has no rows, or lacks a column.
    """
    if path.suffix not in TABLE_SUFFIXES:
        raise OvertopError(f"{path}: not a table; give one that ends in {', '.join(TABLE_SUFFIXES)}")
    if not path.is_file():
        raise OvertopError(f"{path}: no such file; correct the path")
    names = column_names(path)
    for column in required:
        if column not in names:
            raise OvertopError(f"{path}: no column {column!r}; {did_you_mean(column, names)}")
    table = read_columns(path, [*required, *(column for column in optional if column in names)])
    if table.empty:
        raise OvertopError(f"{path}: the table has no rows; give it one row per item")
    return table.apply(_strip)


def _strip(column: pd.Series) -> pd.Series:
    """Values without white space around them, and whole numbers without decimals."""
    text = column.str.strip()
    if (text.str.fullmatch(r"-?\d+\.0") | (text == "")).all():
        text = text.str.removesuffix(".0")
    return text
