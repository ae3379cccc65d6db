"""The table of methods of a report: one row per method of each data set and direction, best first."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from overtop import labels
from overtop.config.evaluation import EvaluationSpec
from overtop.reference.paper import METRIC_SUFFIXES, read_paper_table
from overtop.report.document import Column, Table
from overtop.report.rows import explain, measured, number
from overtop.tables.blocks import SIGNIFICANCE_LEVEL
from overtop.tables.published import DAGGER, PublishedNumbers
from overtop.tables.rows import sort_rows
from overtop.tables.wide import GROUP, SETUP
from overtop.terms import BINNINGS, POSITIVES

_MEASURES = [
    Column("recall_at_1", "R@1", explain("recall_at_1"), "interval", 3, "high"),
    Column("aurc", "AURC", f"{explain('aurc')} Compare it only at equal R@1.", "interval", 3, "low"),
    Column("auroc", "AUROC", explain("auroc"), "interval", 3, "high"),
    Column("coverage", "", "", "interval", 3, "high"),
    Column("rejection_auc", "Area", explain("rejection_auc"), "interval", 3, "high"),
    Column("oracle_auc", "Bound", explain("oracle_auc"), "number", 3),
    Column("spearman", "S", explain("spearman"), "interval", 2, "low"),
    Column("r2", "R²", explain("r2"), "interval", 2, "high"),
    Column("neg_sr2", "−S·R²", explain("neg_sr2"), "interval", 2, "high"),
]

_TEXTS = [
    Column("panel", "Data set", "The data set, and whether texts retrieve images or images retrieve texts."),
    Column("estimator", "Estimator", explain("estimator")),
    Column("posterior", "Posterior", "How samples of the embeddings were drawn."),
]


def methods_tables(
    name: str, table: pd.DataFrame, published: PublishedNumbers, evaluation: EvaluationSpec
) -> list[Table]:
    """The tables of one entry of `tables`: of the corrected protocol, and of the published one if it has paper values.

    Shown are labelled positives and bins of equal width, as in the paper, or the first that there are.

    Args:
        name: of the entry.
        table: as the rule `table` writes it.
        published: what the table is compared with.
        evaluation: how it was made.
    """
    for column, order in (("positives", POSITIVES), ("binning", BINNINGS)):
        table = table[table[column] == labels.in_known_order(table[column], order)[0]]
    protocols = labels.in_known_order(table["protocol"], labels.PROTOCOLS)
    shown = [p for p in protocols if p == protocols[0] or _has_paper(table[table["protocol"] == p])]
    return [
        _make_table(f"{name}-{protocol}", name, table[table["protocol"] == protocol], published, evaluation)
        for protocol in shown
    ]


def _make_table(
    key: str, name: str, rows: pd.DataFrame, published: PublishedNumbers, evaluation: EvaluationSpec
) -> Table:
    # Image to text is second, as everywhere but in the paper; the smallest AURC first.
    rows = sort_rows(rows.sort_values("aurc", kind="stable"), GROUP)
    posteriors = labels.posterior_labels(rows)
    columns = [*_TEXTS, *_columns(rows, evaluation)]
    cells: dict[str, list[Any]] = {column.key: _cells(rows, column, posteriors) for column in columns}
    level = 100 * evaluation.bootstrap.level
    notes = [f"In brackets: {level:g} % bootstrap intervals, resampled by image; a dash: undefined."]
    if published.reference and _has_paper(rows):
        source = read_paper_table(published.reference).description
        notes.append(f"The paper's numbers: {source}; the published protocol repeats its code.")
    notes += published.recall_notes(rows)
    return Table(key, f"{name}: {labels.setup_label(rows, SETUP)}", " ".join(notes), columns, cells)


def _columns(rows: pd.DataFrame, evaluation: EvaluationSpec) -> list[Column]:
    """The columns of numbers, each of the paper's behind ours where there are some."""
    precision, reference = evaluation.precision, labels.format_name(evaluation.bootstrap.reference)
    columns = []
    for column in _MEASURES:
        if column.key == "coverage":
            meaning = f"Largest share of queries, the most certain first, whose R@1 is at least {precision:g}."
            column = Column("coverage", f"Coverage at {precision:g}", meaning, "interval", 3, "high")
        columns.append(column)
        if column.key == "aurc":
            meaning = f"AURC differs from that of {reference} (paired, Holm-adjusted p < {SIGNIFICANCE_LEVEL})."
            columns.append(Column("starred", "*", meaning, "mark"))
        key = f"paper_{column.key}"
        if column.key in METRIC_SUFFIXES and key in rows and rows[key].notna().any():
            meaning = f"{column.label} as printed in the paper."
            columns.append(Column(key, f"{column.label}, paper", meaning, "paper", 2, column.better))
    return [*columns, Column("n_queries", "Queries", explain("n_queries"), "number", 0)]


def _cells(rows: pd.DataFrame, column: Column, posteriors: Mapping[str, str]) -> list[Any]:
    if column.key == "panel":
        return [labels.dataset_label(rows.iloc[[place]]) for place in range(len(rows))]
    if column.key == "estimator":
        return [labels.format_name(name) for name in rows["estimator"]]
    if column.key == "posterior":
        off = rows["members_off"] != ""
        return [posteriors[p] + (DAGGER if is_off else "") for p, is_off in zip(rows["posterior"], off, strict=True)]
    if column.key == "starred":
        return (rows["p_holm"] < SIGNIFICANCE_LEVEL).tolist()
    if column.kind == "interval":
        return [measured(row, column.key) for _, row in rows.iterrows()]
    if column.key == "n_queries":
        return [int(count) for count in rows["n_queries"]]
    return [number(value) for value in rows[column.key]]


def _has_paper(rows: pd.DataFrame) -> bool:
    printed = [f"paper_{name}" for name in METRIC_SUFFIXES if f"paper_{name}" in rows]
    return bool(printed) and bool(rows[printed].notna().any(axis=None))
