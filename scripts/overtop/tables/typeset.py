"""The table of results: long for machines, and in the paper's wide layout (Table 1) for people."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from overtop.errors import OvertopError
from overtop.figures import words

COLUMNS = [
    "dataset", "direction", "posterior", "kind", "estimator", "protocol", "binning", "positives", "n_queries", "n_bins",
    "recall_at_1", "spearman", "r2", "neg_sr2", "rejection_auc", "oracle_auc", "n_skipped", "n_truncated",
]  # fmt: skip
"""Columns of the long table, in order; columns beyond these follow them."""

KEY = ["dataset", "direction", "posterior", "estimator", "protocol", "binning", "positives"]
"""Columns that tell rows apart."""

_GROUP = ["dataset", "direction"]
_SETUP = ["protocol", "binning", "positives"]
_COUNTS = ["n_queries", "n_bins", "n_skipped", "n_truncated"]
_DECIMALS = 6  # of the long table: far finer than any interval, far coarser than differences between machines
_SHOWN = 2  # decimals of the wide table, as in the paper
_ORDER: dict[str, Sequence[str]] = {
    "direction": list(words.DIRECTIONS),
    "kind": list(words.KINDS),
    "estimator": list(words.ESTIMATORS),
    "protocol": list(words.PROTOCOLS),
    "binning": list(words.BINNINGS),
    "positives": list(words.POSITIVES),
}  # of datasets and posteriors: as they come
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "²": "$^2$", "·": r"$\cdot$",
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """A column of the wide table: its heads, and what picks its best value."""

    markdown: str
    latex: str
    best: Callable[[pd.Series], float]


MEASURES = {
    "spearman": Measure("S", "$S$", pd.Series.min),
    "r2": Measure("R²", "$R^2$", pd.Series.max),
    "neg_sr2": Measure("−S·R²", "$-S R^2$", pd.Series.max),
}


def tidy(metrics: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One long table: a row per dataset, direction, posterior, estimator, protocol, binning and set of positives.

    Args:
        metrics: tables with the columns `COLUMNS`. Data sets and posteriors keep the order in which they come.

    Returns:
        Rows and columns in a fixed order, numbers rounded to 6 decimals, so that equal results have equal bytes.

    Raises:
        OvertopError: no rows, a column is missing, or two rows speak of the same thing.
    """
    rows = [frame for frame in metrics if len(frame)]
    if not rows:
        raise OvertopError("table: no rows; name datasets, posteriors and estimators that were evaluated")
    for frame in rows:
        missing = [column for column in COLUMNS if column not in frame]
        if missing:
            raise OvertopError(f"table: metrics without {', '.join(missing)}; rebuild them with the evaluate rule")
    table = pd.concat(rows, ignore_index=True)
    _refuse_twice(table)
    table = _sorted(table, ["dataset", "direction", "kind", "posterior", *KEY[3:]])
    extra = [column for column in table.columns if column not in COLUMNS]
    table = table[COLUMNS + extra].astype(dict.fromkeys(_COUNTS, "int64"))
    floats = table.select_dtypes("float").columns
    table[floats] = table[floats].round(_DECIMALS) + 0.0  # no "-0.0"
    return table.reset_index(drop=True)


def closing_words(targets: Iterable[str]) -> str:
    """Where a run's results are, and what its tables say, in a few lines.

    Args:
        targets: paths; those that are no files are left out.
    """
    lines = ["", "overtop: done."]
    for target in map(Path, targets):
        if target.is_file():
            lines.append(f"  {target}")
            if target.parent.name == "tables" and target.suffix == ".csv":
                lines += [f"    {line}" for line in summary(pd.read_csv(target))]
    return "\n".join(lines)


def summary(table: pd.DataFrame) -> list[str]:
    """What a table says, in a line per dataset and direction: which method rejects best.

    Args:
        table: of `tidy`. Labelled positives and the corrected protocol speak, where the table has them.
    """
    kept = table
    for column, wanted in (("positives", "labelled"), ("protocol", "corrected")):
        if (kept[column] == wanted).any():
            kept = kept[kept[column] == wanted]
    posteriors = words.posteriors(kept)
    lines = []
    for _, rows in kept.groupby(_GROUP, sort=False):
        best = rows.loc[rows["rejection_auc"].idxmax()]
        method = f"{words.label(best['estimator'])}, {posteriors[best['posterior']]}"
        lines.append(
            f"{words.panel(rows, int(best['n_queries']), None)}: R@1 {best['recall_at_1']:.3f}; best by rejection: "
            f"{method}, area {best['rejection_auc']:.3f} of at most {best['oracle_auc']:.3f}"
        )
    return lines


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 1: a row per method; for each dataset and direction S, R2 and -S.R2.

    Args:
        table: rows of `tidy` with one protocol, one binning and one set of positives.

    Returns:
        Index (`estimator`, `posterior`), columns (`dataset`, `direction`, `measure`), NaN where a method was not run.

    Raises:
        OvertopError: several protocols, binnings or sets of positives, or two rows for one cell.
    """
    for column in _SETUP:
        values = list(table[column].unique())
        if len(values) > 1:
            raise OvertopError(f"{column}: a wide table shows one value, not {', '.join(values)}; keep the rows of one")
    _refuse_twice(table)
    rows = _sorted(table, ["kind", "posterior", "estimator"])
    long = rows.melt(id_vars=["estimator", "posterior", *_GROUP], value_vars=list(MEASURES), var_name="measure")
    grid = long.pivot(  # noqa: PD010 (pivot refuses duplicates, pivot_table averages them)
        index=["estimator", "posterior"], columns=[*_GROUP, "measure"], values="value"
    )
    # Image to text comes first, as in the paper, so that the two tables can be read side by side.
    directions = words.ordered(table["direction"], words.DIRECTIONS)[::-1]
    present = set(table[_GROUP].itertuples(index=False, name=None))
    groups = [group for group in product(table["dataset"].unique(), directions) if group in present]
    order = pd.MultiIndex.from_tuples([(*group, m) for group in groups for m in MEASURES], names=grid.columns.names)
    methods = pd.MultiIndex.from_frame(rows[["estimator", "posterior"]].drop_duplicates())
    return grid.reindex(index=methods, columns=order)


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
class _Row:
    """A method's cells as text, and which of them are the best of their column."""

    method: str
    posterior: str
    cells: list[str]
    best: list[bool]


def _markdown_block(table: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    columns, rows = _rendered(table, labels)
    heads = [
        f"{_markdown(words.label(d, labels))}<br>{words.label(way, labels)}<br>{MEASURES[m].markdown}"
        for d, way, m in columns
    ]
    lines = [["Method", *heads], ["---", *["---:"] * len(heads)]]
    for row in rows:
        cells = [f"**{text}**" if best else text for text, best in zip(row.cells, row.best, strict=True)]
        lines.append([_markdown(row.method), *cells])
    grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    heading = words.setup(table, _SETUP)
    return f"## {heading[0].upper()}{heading[1:]}\n\n{grid}\n\n{_markdown(_caption(table, labels))}\n"


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
        cells = [_latex_number(text, best) for text, best in zip(row.cells, row.best, strict=True)]
        body.append(_latex_row([_latex(row.method), *cells]))
    lines = [
        f"% {words.setup(table, _SETUP)}; needs \\usepackage{{booktabs}}",
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",  # two data sets still fit a page
        f"\\caption{{{_latex(_caption(table, labels))}}}",
        f"\\label{{tab:{'-'.join([name, *table.iloc[0][_SETUP]])}}}",
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
    grid = wide(table)
    shown = grid.round(_SHOWN) + 0.0
    best = shown.apply(lambda column: column == MEASURES[column.name[2]].best(column))
    text = shown.map(lambda number: "–" if pd.isna(number) else f"{number:.{_SHOWN}f}")
    posteriors = words.posteriors(table)
    rows = []
    for (estimator, posterior), cells, bold in zip(grid.index.to_list(), text.to_numpy(), best.to_numpy(), strict=True):
        method = f"{words.label(estimator, labels)}, {posteriors[posterior]}"
        rows.append(_Row(method, posterior, list(cells), list(bold)))
    return [(str(d), str(way), str(m)) for d, way, m in grid.columns.to_list()], rows


def _caption(table: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    """What a reader must know to trust the numbers."""
    parts = [
        "How well the uncertainty is calibrated: Spearman correlation S (ideal -1) and R² (ideal 1) between the level "
        f"of uncertainty and Recall@1, and -S·R² (ideal 1). Setup: {words.setup(table, _SETUP)}.",
        f"Queries: {_counts(table, _GROUP, 'n_queries', labels)}.",
    ]
    for column, what in (("n_skipped", "Items skipped"), ("n_truncated", "Captions truncated")):
        if table[column].any():
            parts.append(f"{what}: {_counts(table[table[column] > 0], ['dataset'], column, labels)}.")
    return " ".join([*parts, "Best of each column in bold; a dash: not run, or undefined."])


def _counts(table: pd.DataFrame, by: list[str], column: str, labels: Mapping[str, str] | None) -> str:
    found = []
    for names, rows in table.groupby(by, sort=False)[column]:
        found.append(f"{', '.join(words.label(str(name), labels) for name in tuple(names))}: {_span(rows)}")
    return "; ".join(found)


def _span(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _blocks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, rows in _sorted(table, _SETUP).groupby(_SETUP, sort=False):
        yield rows


def _sorted(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows by `columns`, each in its known order, unknown values as they first appear."""
    ranks = {c: {v: i for i, v in enumerate(words.ordered(table[c], _ORDER.get(c, ())))} for c in columns}
    return table.sort_values(list(columns), key=lambda column: column.map(ranks[str(column.name)]), kind="stable")


def _refuse_twice(table: pd.DataFrame) -> None:
    twice = table[table.duplicated(KEY)]
    if len(twice):
        name = ", ".join(f"{column}={twice.iloc[0][column]}" for column in KEY)
        raise OvertopError(f"table: two rows for {name}; list each dataset and posterior once")


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_<>`])", r"\\\1", text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _latex_number(text: str, strong: bool) -> str:
    if text == "–":
        return "--"
    return f"$\\mathbf{{{text}}}$" if strong else f"${text}$"
