"""Tables of a run whose columns are not those that the reference page describes."""

import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from overtop.pipeline.column_tables import TABLES
from overtop.pipeline.table_columns import TableColumns


def undocumented_tables(root: Path) -> list[str]:
    """One line per CSV or parquet file below `root` with a column that is not documented, or without one that is."""
    lines = []
    for path in sorted([*(root / "results").rglob("*"), *(root / "data/splits").rglob("*")]):
        if path.suffix in (".csv", ".parquet"):
            name, columns = str(path.relative_to(root)), read_columns(path)
            if not any(has_documented_columns(table, columns) for table in documented(name)):
                lines.append(f"{name}: {', '.join(columns)}")
    return lines


def documented(path: str) -> list[TableColumns]:
    """The descriptions of the tables at a path; an answer has the same columns as CSV and as parquet."""
    paths = {path, re.sub(r"^(results/answers/.*)\.csv$", r"\1.parquet", path)}
    return [table for table in TABLES if any(re.fullmatch(as_pattern(table.path), each) for each in paths)]


def has_documented_columns(table: TableColumns, columns: list[str]) -> bool:
    """Whether a file has all columns of a description, and no others but the optional ones."""
    return set(table.columns) <= set(columns) and (table.has_free_names or set(columns) <= set(table.names()))


def as_pattern(path: str) -> str:
    """A regular expression for the files of a pattern of `overtop.pipeline.paths`."""
    return re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))


def read_columns(path: Path) -> list[str]:
    """The names of the columns of a table."""
    return pq.read_schema(path).names if path.suffix == ".parquet" else pd.read_csv(path, nrows=0).columns.tolist()
