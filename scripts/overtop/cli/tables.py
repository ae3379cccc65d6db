"""Tables that a user hands over: CSV, TSV or parquet, with every value as text."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from overtop.errors import OvertopError, did_you_mean

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
    table = _read_table(path)
    table.columns = table.columns.map(str).str.strip()
    for column in required:
        if column not in table:
            raise OvertopError(f"{path}: no column {column!r}; {did_you_mean(column, table.columns)}")
    if table.empty:
        raise OvertopError(f"{path}: the table has no rows; give it one row per item")
    columns = [*required, *(column for column in optional if column in table)]
    return pd.DataFrame({column: _as_text(table[column]) for column in columns})


def _read_table(path: Path) -> pd.DataFrame:
    if path.suffix not in TABLE_SUFFIXES:
        raise OvertopError(f"{path}: not a table; give one that ends in {', '.join(TABLE_SUFFIXES)}")
    if not path.is_file():
        raise OvertopError(f"{path}: no such file; correct the path")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        separator = "\t" if path.suffix == ".tsv" else ","
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError, ArrowException) as error:
        reason = " ".join(str(error).split())
        raise OvertopError(f"{path}: cannot be read as a table ({reason}); give UTF-8 CSV or parquet") from error


def _as_text(column: pd.Series) -> pd.Series:
    """The values as text; whole numbers without decimals, missing values empty."""
    missing = column.isna()
    if pd.api.types.is_float_dtype(column) and (column[~missing] % 1 == 0).all():
        column = column.astype("Int64")
    text = column.astype(str).str.strip()
    whole_number = text.str.fullmatch(r"-?\d+\.0")
    if (whole_number | (text == "")).all():
        text = text.str.removesuffix(".0")
    return text.mask(missing, "").astype(object)
