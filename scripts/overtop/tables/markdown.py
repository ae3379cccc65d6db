"""The wide layout as Markdown, and helpers for other Markdown tables."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from overtop import labels
from overtop.tables.blocks import Block, Cell, render_rows, split_into_blocks
from overtop.tables.published import PublishedNumbers
from overtop.tables.wide import MEASURES


def to_markdown(table: pd.DataFrame, published: PublishedNumbers | None = None) -> str:
    """The wide layout for the web: a section per protocol, binning and set of positives, with a grid per data set.

    Every number has its interval below, and below that the paper's number.

    Args:
        table: result of `combine_metrics`.
        published: what the table is compared with.
    """
    return "\n".join(_section(block) for block in split_into_blocks(table, published))


def escape(text: str) -> str:
    """Text with Markdown's special characters escaped."""
    return re.sub(r"([\\|*_<>`])", r"\\\1", text)


def format_grid(headers: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """A Markdown table; the first `text_columns` columns are aligned left, the others, numbers, right."""
    alignment = ["---"] * text_columns + ["---:"] * (len(headers) - text_columns)
    return "\n".join(f"| {' | '.join(line)} |" for line in [headers, alignment, *rows])


def _section(block: Block) -> str:
    heading = block.setup[0].upper() + block.setup[1:]
    grids = [f"### {escape(part.dataset)}\n\n{_grid(part)}" for part in block.split_by_dataset()]
    return "\n\n".join([f"## {heading}", *grids, escape(block.caption())]) + "\n"


def _grid(block: Block) -> str:
    columns, rows = render_rows(block)
    headers = [f"{labels.format_name(direction)}<br>{MEASURES[name].markdown}" for direction, name in columns]
    return format_grid(["Method", *headers], [[escape(row.method), *map(format_cell, row.cells)] for row in rows])


def format_cell(cell: Cell) -> str:
    """A number, with its interval and the paper's number on further lines."""
    number = (f"**{cell.number}**" if cell.best else cell.number) + (escape("*") if cell.starred else "")
    lines = filter(None, [number, cell.interval, cell.paper and f"paper {cell.paper}"])
    return "<br>".join(line.replace(" ", "\N{NO-BREAK SPACE}") for line in lines)
