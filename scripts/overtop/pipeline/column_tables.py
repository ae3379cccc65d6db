"""The columns of all tables as Markdown."""

import re
from collections.abc import Iterator

from overtop.pipeline.figure_columns import FIGURE_TABLES
from overtop.pipeline.result_columns import RESULT_TABLES
from overtop.pipeline.study_columns import STUDY_TABLES
from overtop.pipeline.table_columns import TableColumns

TABLES = (*RESULT_TABLES, *STUDY_TABLES, *FIGURE_TABLES)
"""Every table that a run may write, those that most people read first."""


def column_tables() -> str:
    """The columns of every table, as Markdown."""
    return "\n".join(line for table in TABLES for line in _describe_table(table))


def _describe_table(table: TableColumns) -> Iterator[str]:
    path = re.sub(r"{(\w+)}", lambda name: name[1].upper(), table.path)
    yield f"### `{path}`{table.note}"
    yield ""
    yield f"One row: {table.rows}."
    yield ""
    yield from ("| column | type | unit or values | meaning |", "|---|---|---|---|")
    for name in table.columns:
        yield from _column_row(table, name)
    for when, names in table.optional.items():
        yield f"| *{when}:* | | | |"
        for name in names:
            yield from _column_row(table, name)
    yield ""


def _column_row(table: TableColumns, name: str) -> Iterator[str]:
    """The row of a column, with its interval; none for the ends of an interval."""
    if table.is_interval_end(name):
        return
    column = table.describe(name)
    ends = " ±" if f"{name}_low" in table.names() else ""
    yield f"| `{name}`{ends} | {column.type} | {column.unit} | {column.meaning} |"
