"""The wide layout as LaTeX.

Written without `pandas.Styler.to_latex`, which has no rows of several lines and no space between groups of rows.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from overtop import labels
from overtop.tables.blocks import UNDEFINED, Block, Cell, Row, render_rows, split_into_blocks
from overtop.tables.published import DAGGER, PublishedNumbers
from overtop.tables.wide import MEASURES, SETUP

_ESCAPES = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "²": "$^2$", "·": r"$\cdot$",
    "<": "$<$", ">": "$>$", "|": "$|$", DAGGER: r"$^\dagger$", UNDEFINED: "--",
}  # fmt: skip


def to_latex(table: pd.DataFrame, published: PublishedNumbers | None = None, *, name: str = "overtop") -> str:
    """The wide layout for a paper (needs the package booktabs): a table per setup and data set.

    Every number has its interval below, and below that the paper's number. Each data set has a table of its own, since
    two of them with their intervals are wider than a page.

    Args:
        table: result of `combine_metrics`.
        published: what the table is compared with.
        name: of the table; the LaTeX label is `tab:<name>-<protocol>-<binning>-<positives>-<dataset>`.
    """
    blocks = split_into_blocks(table, published)
    return "\n".join(_format_table(part, name) for block in blocks for part in block.split_by_dataset())


def _format_table(block: Block, name: str) -> str:
    columns, rows = render_rows(block)
    n = len(MEASURES)
    directions = list(dict.fromkeys(direction for direction, _ in columns))
    groups = [f"\\multicolumn{{{n}}}{{c}}{{{labels.format_name(direction)}}}" for direction in directions]
    setup = [*block.rows.iloc[0][SETUP], block.rows.iloc[0]["dataset"]]
    lines = [
        f"% {block.dataset}; {block.setup}; needs \\usepackage{{booktabs}}",
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",  # fits a page of A4
        f"\\caption{{{escape(f'{block.dataset}. {block.caption()}')}}}",
        f"\\label{{tab:{'-'.join([name, *setup])}}}",
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        format_row(["", *groups]),
        " ".join(f"\\cmidrule(lr){{{2 + n * i}-{1 + n * (i + 1)}}}" for i in range(len(directions))),
        format_row(["Method", *(MEASURES[measure].latex for _, measure in columns)]),
        r"\midrule",
        *format_body(rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def format_body(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of a table: for each method its numbers, their intervals, and the paper's numbers if there are any."""
    previous = rows[0].posterior
    for row in rows:
        if row.posterior != previous:
            yield r"\addlinespace"
        previous = row.posterior
        yield format_row([escape(row.method), *map(_format_number, row.cells)])
        yield format_row(["", *(f"{{\\tiny {escape(cell.interval)}}}" for cell in row.cells)])
        if any(cell.paper for cell in row.cells):
            paper = (cell.paper and f"{{\\scriptsize ${cell.paper}$}}" for cell in row.cells)
            yield format_row([r"\quad{\scriptsize paper}", *paper]) + "[2pt]"


def format_row(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"{' & '.join(cells)} \\\\"


def _format_number(cell: Cell) -> str:
    if cell.number == UNDEFINED:
        return escape(UNDEFINED)
    number = f"\\mathbf{{{cell.number}}}" if cell.best else cell.number
    return f"${number}{'^{*}' if cell.starred else ''}$"


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_ESCAPES.get(character, character) for character in text)
