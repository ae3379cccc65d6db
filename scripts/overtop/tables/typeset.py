"""The wide layout as text, for the web and for a paper: every number over its interval, and over the paper's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from overtop import labels as words
from overtop.tables.markdown import escape, grid
from overtop.tables.published import DAGGER, Published
from overtop.tables.rows import in_order
from overtop.tables.wide import GROUP, MEASURES, METHOD, SETUP, wide

SIGNIFICANT = 0.05
"""A method whose Holm-adjusted p-value is below differs from the reference; its AURC is starred."""

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "²": "$^2$", "·": r"$\cdot$",
    "<": "$<$", DAGGER: r"$^\dagger$",
}  # fmt: skip


def to_markdown(
    table: pd.DataFrame, labels: Mapping[str, str] | None = None, published: Published | None = None
) -> str:
    """The wide layout for reading on the web: a section per protocol, binning and set of positives, in it a grid per
    data set.

    Args:
        table: of `tidy`.
        labels: estimators and datasets in words, where the project's own do not suit.
        published: what others say of the same, to stand beside it.
    """
    return "\n".join(_markdown_section(block) for block in _blocks(table, labels, published))


def to_latex(
    table: pd.DataFrame,
    labels: Mapping[str, str] | None = None,
    published: Published | None = None,
    name: str = "overtop",
) -> str:
    """The wide layout for a paper (needs the package booktabs): a table per protocol, binning, set of positives and
    data set, since two data sets with their intervals are wider than a page.

    Args:
        table: of `tidy`.
        labels: estimators and datasets in words, where the project's own do not suit.
        published: what others say of the same, to stand beside it.
        name: of the table; the LaTeX label is `tab:<name>-<protocol>-<binning>-<positives>-<dataset>`.
    """
    blocks = _blocks(table, labels, published)
    return "\n".join(_latex_table(part, name) for block in blocks for part in block.by_dataset())


@dataclass(frozen=True)
class _Cell:
    """A number as text, the ends of its interval, the paper's number, whether it is the best of its column, and
    whether it is starred."""

    text: str
    interval: str
    paper: str
    best: bool
    starred: bool


@dataclass(frozen=True)
class _Row:
    """A method and its cells."""

    method: str
    posterior: str
    cells: list[_Cell]


@dataclass(frozen=True)
class _Block:
    """The rows of one protocol, binning and set of positives, or those of one data set, and the words for them."""

    rows: pd.DataFrame
    posteriors: Mapping[str, str]
    labels: Mapping[str, str] | None
    published: Published

    def by_dataset(self) -> "Iterator[_Block]":
        """The rows of each data set."""
        for _, rows in self.rows.groupby("dataset", sort=False):
            yield replace(self, rows=rows)

    def label(self, name: str) -> str:
        """A dataset, direction or estimator in words."""
        return words.label(name, self.labels)

    @property
    def dataset(self) -> str:
        """The first row's data set in words."""
        return self.label(self.rows.iloc[0]["dataset"])

    @property
    def setup(self) -> str:
        """Protocol, binning and positives in words."""
        return words.setup(self.rows, SETUP)

    def caption(self) -> str:
        """What a reader must know to trust the numbers."""
        parts = [
            "How well the uncertainty is calibrated: Spearman correlation S (ideal -1) and R² (ideal 1) between the "
            "level of uncertainty and Recall@1, and -S·R² (ideal 1); AURC: area under the risk-coverage curve (ideal "
            f"0). Setup: {self.setup}. In brackets bootstrap intervals, drawn by image.",
            f"Queries: {self._counts(GROUP, 'n_queries')}.",
        ]
        for column, what in (("n_skipped", "Items skipped"), ("n_truncated", "Captions truncated")):
            if self.rows[column].any():
                parts.append(f"{what}: {self._counts(['dataset'], column, above=0)}.")
        if (self.rows["p_holm"] < SIGNIFICANT).any():
            parts.append(f"A star: AURC differs from {self._reference()} (paired, Holm-adjusted p < {SIGNIFICANT}).")
        parts += self.published.notes(self.rows, self.labels)
        return " ".join([*parts, "Best of each column in bold; a dash: not run, or undefined."])

    def _reference(self) -> str:
        """The estimator that has no p-value where others have."""
        judged = self.rows.groupby("estimator", sort=False)["p_holm"].apply(lambda p: p.notna().any())
        return " or ".join(self.label(str(name)) for name in judged.index[~judged])

    def _counts(self, by: list[str], column: str, above: int = -1) -> str:
        found = []
        for names, numbers in self.rows[self.rows[column] > above].groupby(by, sort=False)[column]:
            found.append(f"{', '.join(self.label(str(name)) for name in tuple(names))}: {_span(numbers)}")
        return "; ".join(found)


def _blocks(table: pd.DataFrame, labels: Mapping[str, str] | None, published: Published | None) -> Iterator[_Block]:
    published = published or Published()
    for _, rows in in_order(published.beside(table), SETUP).groupby(SETUP, sort=False):
        yield _Block(rows, words.posteriors(rows), labels, published)


def _markdown_section(block: _Block) -> str:
    heading = block.setup[0].upper() + block.setup[1:]
    grids = [f"### {escape(part.dataset)}\n\n{_markdown_grid(part)}" for part in block.by_dataset()]
    return "\n\n".join([f"## {heading}", *grids, escape(block.caption())]) + "\n"


def _markdown_grid(block: _Block) -> str:
    columns, rows = _rendered(block)
    heads = [f"{block.label(way)}<br>{MEASURES[m].markdown}" for way, m in columns]
    return grid(["Method", *heads], [[escape(row.method), *map(_markdown_cell, row.cells)] for row in rows])


def _markdown_cell(cell: _Cell) -> str:
    number = (f"**{cell.text}**" if cell.best else cell.text) + (escape("*") if cell.starred else "")
    lines = filter(None, [number, cell.interval, cell.paper and f"paper {cell.paper}"])
    return "<br>".join(line.replace(" ", "\N{NO-BREAK SPACE}") for line in lines)


def _latex_table(block: _Block, name: str) -> str:
    columns, rows = _rendered(block)
    n = len(MEASURES)
    ways = list(dict.fromkeys(way for way, _ in columns))
    body, previous = [], rows[0].posterior
    for row in rows:
        if row.posterior != previous:
            body.append(r"\addlinespace")
        previous = row.posterior
        body += _latex_lines(row)
    setup = [*block.rows.iloc[0][SETUP], block.rows.iloc[0]["dataset"]]
    lines = [
        f"% {block.dataset}; {block.setup}; needs \\usepackage{{booktabs}}",
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",  # fits a page of A4
        f"\\caption{{{_latex(f'{block.dataset}. {block.caption()}')}}}",
        f"\\label{{tab:{'-'.join([name, *setup])}}}",
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        _latex_row(["", *(f"\\multicolumn{{{n}}}{{c}}{{{block.label(way)}}}" for way in ways)]),
        " ".join(f"\\cmidrule(lr){{{2 + n * i}-{1 + n * (i + 1)}}}" for i in range(len(ways))),
        _latex_row(["Method", *(MEASURES[measure].latex for _, measure in columns)]),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _latex_lines(row: _Row) -> list[str]:
    """A method's numbers, under them their intervals, and under these the paper's numbers if there are any."""
    lines = [
        _latex_row([_latex(row.method), *map(_latex_number, row.cells)]),
        _latex_row(["", *(f"{{\\tiny {cell.interval}}}" for cell in row.cells)]),
    ]
    if any(cell.paper for cell in row.cells):
        papers = (cell.paper and f"{{\\scriptsize ${cell.paper}$}}" for cell in row.cells)
        lines.append(_latex_row([r"\quad{\scriptsize paper}", *papers]) + "[2pt]")
    return lines


def _rendered(block: _Block) -> tuple[list[tuple[str, str]], list[_Row]]:
    """The wide table of one data set as text; at a tie of what is shown, all that tie are best.

    Returns:
        Direction and measure of each column, and the rows.
    """
    values = wide(block.rows)
    low, high, paper = (wide(block.rows, which).to_numpy() for which in ("_low", "_high", "paper_"))
    starred = _starred(block.rows)
    cells: list[list[_Cell]] = [[] for _ in values.index]
    for column, (dataset, way, name) in enumerate(values.columns):
        measure = MEASURES[name]
        shown = values.iloc[:, column].round(measure.decimals) + 0.0
        best = measure.best(shown)
        for row, (method, value) in enumerate(shown.items()):
            ends = [_number(bounds[row, column], measure.decimals) for bounds in (low, high)]
            theirs = paper[row, column]
            cells[row].append(
                _Cell(
                    _number(value, measure.decimals),
                    "" if pd.isna(value) else f"[{', '.join(ends)}]",
                    "" if pd.isna(theirs) else _number(theirs, measure.decimals),
                    bool(value == best),
                    name == "aurc" and (*method, dataset, way) in starred,
                )
            )
    doubtful = set(block.rows.loc[block.rows["members_off"] != "", "posterior"])
    rows = [
        _Row(f"{block.label(e)}, {block.posteriors[p]}{DAGGER if p in doubtful else ''}", p, row)
        for (e, p), row in zip(values.index, cells, strict=True)
    ]
    return [(way, name) for _, way, name in values.columns], rows


def _starred(table: pd.DataFrame) -> set[tuple[str, str, str, str]]:
    """(estimator, posterior, dataset, direction) of what differs from the reference."""
    kept = table[table["p_holm"] < SIGNIFICANT]
    return set(kept[[*METHOD, *GROUP]].itertuples(index=False, name=None))


def _number(number: float, decimals: int) -> str:
    return "–" if pd.isna(number) else f"{round(number, decimals) + 0.0:.{decimals}f}"


def _span(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _latex_number(cell: _Cell) -> str:
    if cell.text == "–":
        return "--"
    number = f"\\mathbf{{{cell.text}}}" if cell.best else cell.text
    return f"${number}{'^{*}' if cell.starred else ''}$"
