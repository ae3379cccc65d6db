"""The wide layout as text, for the web and for a paper, every number over its interval."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from overtop.figures import words
from overtop.tables.rows import in_order
from overtop.tables.wide import GROUP, MEASURES, SETUP, wide

SIGNIFICANT = 0.05
"""A method whose Holm-adjusted p-value is below differs from the reference; its AURC is starred."""

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "²": "$^2$", "·": r"$\cdot$",
}  # fmt: skip


def to_markdown(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> str:
    """The wide layout for reading on the web, one block per protocol, binning and set of positives.

    Args:
        table: of `tidy`.
        labels: estimators and datasets in words, where the project's own do not suit.
    """
    return "\n".join(_markdown_block(rows, labels) for rows in _blocks(table))


def to_latex(table: pd.DataFrame, labels: Mapping[str, str] | None = None, name: str = "overtop") -> str:
    """The wide layout for a paper (needs the package booktabs), one block per protocol, binning and set of positives.

    Args:
        table: of `tidy`.
        labels: estimators and datasets in words, where the project's own do not suit.
        name: of the table; a block's LaTeX label is `tab:<name>-<protocol>-<binning>-<positives>`.
    """
    return "\n".join(_latex_block(rows, labels, name) for rows in _blocks(table))


@dataclass(frozen=True)
class _Cell:
    """A number as text, the ends of its interval, whether it is the best of its column, and whether it is starred."""

    text: str
    interval: str
    best: bool
    starred: bool


@dataclass(frozen=True)
class _Row:
    """A method and its cells."""

    method: str
    posterior: str
    cells: list[_Cell]


def _markdown_block(table: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    columns, rows = _rendered(table, labels)
    heads = [
        f"{_markdown(words.label(d, labels))}<br>{words.label(way, labels)}<br>{MEASURES[m].markdown}"
        for d, way, m in columns
    ]
    lines = [["Method", *heads], ["---", *["---:"] * len(heads)]]
    lines += [[_markdown(row.method), *map(_markdown_cell, row.cells)] for row in rows]
    grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    heading = words.setup(table, SETUP)
    return f"## {heading[0].upper()}{heading[1:]}\n\n{grid}\n\n{_markdown(_caption(table, labels))}\n"


def _markdown_cell(cell: _Cell) -> str:
    number = f"**{cell.text}**" if cell.best else cell.text
    return f"{number}{_markdown('*') if cell.starred else ''}{f'<br>{cell.interval}' if cell.interval else ''}"


def _latex_block(table: pd.DataFrame, labels: Mapping[str, str] | None, name: str) -> str:
    columns, rows = _rendered(table, labels)
    n = len(MEASURES)
    groups = list(dict.fromkeys((dataset, way) for dataset, way, _ in columns))
    datasets = {d: _latex(words.label(d, labels)) for d, _ in groups}
    spans = {d: n * sum(d == dataset for dataset, _ in groups) for d in datasets}
    body, previous = [], rows[0].posterior
    for row in rows:
        if row.posterior != previous:
            body.append(r"\addlinespace")
        previous = row.posterior
        body.append(_latex_row([_latex(row.method), *map(_latex_number, row.cells)]))
        body.append(_latex_row(["", *(f"{{\\tiny {cell.interval}}}" for cell in row.cells)]))
    lines = [
        f"% {words.setup(table, SETUP)}; needs \\usepackage{{booktabs}}",
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",  # two data sets still fit a page
        f"\\caption{{{_latex(_caption(table, labels))}}}",
        f"\\label{{tab:{'-'.join([name, *table.iloc[0][SETUP]])}}}",
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        _latex_row(["", *(f"\\multicolumn{{{spans[d]}}}{{c}}{{{text}}}" for d, text in datasets.items())]),
        _latex_row(["", *(f"\\multicolumn{{{n}}}{{c}}{{{words.label(way, labels)}}}" for _, way in groups)]),
        " ".join(f"\\cmidrule(lr){{{2 + n * i}-{1 + n * (i + 1)}}}" for i in range(len(groups))),
        _latex_row(["Method", *(MEASURES[measure].latex for *_, measure in columns)]),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _rendered(table: pd.DataFrame, labels: Mapping[str, str] | None) -> tuple[list[tuple[str, str, str]], list[_Row]]:
    """The wide table as text; at a tie of what is shown, all that tie are best."""
    values, low, high = wide(table), wide(table, "_low"), wide(table, "_high")
    columns = [(str(d), str(way), str(m)) for d, way, m in values.columns.to_list()]
    starred = _starred(table)
    cells: dict[tuple[str, str], list[_Cell]] = {method: [] for method in values.index}
    for column in columns:
        measure = MEASURES[column[2]]
        shown = values[column].round(measure.decimals) + 0.0
        best = measure.best(shown)
        for method in values.index:
            ends = [_number(bounds.loc[method, column], measure.decimals) for bounds in (low, high)]
            cells[method].append(
                _Cell(
                    _number(shown[method], measure.decimals),
                    "" if pd.isna(shown[method]) else f"[{', '.join(ends)}]",
                    bool(shown[method] == best),
                    column[2] == "aurc" and (*method, *column[:2]) in starred,
                )
            )
    posteriors = words.posteriors(table)
    names = {(e, p): f"{words.label(e, labels)}, {posteriors[p]}" for e, p in values.index}
    return columns, [_Row(names[method], method[1], row) for method, row in cells.items()]


def _starred(table: pd.DataFrame) -> set[tuple[str, str, str, str]]:
    """(estimator, posterior, dataset, direction) of what differs from the reference."""
    kept = table[table["p_holm"] < SIGNIFICANT]
    return set(kept[["estimator", "posterior", *GROUP]].itertuples(index=False, name=None))


def _number(number: float, decimals: int) -> str:
    return "–" if pd.isna(number) else f"{round(number, decimals) + 0.0:.{decimals}f}"


def _caption(table: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    """What a reader must know to trust the numbers."""
    parts = [
        "How well the uncertainty is calibrated: Spearman correlation S (ideal -1) and R² (ideal 1) between the level "
        "of uncertainty and Recall@1, and -S·R² (ideal 1); AURC: area under the risk-coverage curve (ideal 0). "
        f"Setup: {words.setup(table, SETUP)}. In brackets bootstrap intervals, drawn by image.",
        f"Queries: {_counts(table, GROUP, 'n_queries', labels)}.",
    ]
    for column, what in (("n_skipped", "Items skipped"), ("n_truncated", "Captions truncated")):
        if table[column].any():
            parts.append(f"{what}: {_counts(table[table[column] > 0], ['dataset'], column, labels)}.")
    if (table["p_holm"] < SIGNIFICANT).any():
        parts.append(
            f"A star: AURC differs from {_reference(table, labels)} (paired, Holm-adjusted p < {SIGNIFICANT})."
        )
    return " ".join([*parts, "Best of each column in bold; a dash: not run, or undefined."])


def _reference(table: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    """The estimator that has no p-value where others have."""
    judged = table.groupby("estimator", sort=False)["p_holm"].apply(lambda p: p.notna().any())
    return " or ".join(words.label(str(name), labels) for name in judged.index[~judged])


def _counts(table: pd.DataFrame, by: list[str], column: str, labels: Mapping[str, str] | None) -> str:
    found = []
    for names, rows in table.groupby(by, sort=False)[column]:
        found.append(f"{', '.join(words.label(str(name), labels) for name in tuple(names))}: {_span(rows)}")
    return "; ".join(found)


def _span(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _blocks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, rows in in_order(table, SETUP).groupby(SETUP, sort=False):
        yield rows


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_<>`])", r"\\\1", text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _latex_number(cell: _Cell) -> str:
    if cell.text == "–":
        return "--"
    number = f"\\mathbf{{{cell.text}}}" if cell.best else cell.text
    return f"${number}{'^{*}' if cell.starred else ''}$"
