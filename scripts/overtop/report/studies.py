"""Robustness studies and answers to new queries as tables of a report."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from overtop import labels
from overtop.evaluation.robustness import AVERAGE
from overtop.report.document import Column, Measured, Table
from overtop.report.rows import explain, number
from overtop.tables.robustness import MEASURES

MAX_ANSWERS = 300
"""Answers that are shown of one entry."""


def robustness_tables(name: str, rows: pd.DataFrame) -> list[Table]:
    """A table per data set and measure of a study: the average first, a row per model, a column per view.

    Args:
        name: of the study.
        rows: as the rule `robustness` writes them.
    """
    tables = []
    for dataset in labels.in_known_order(rows["dataset"], [AVERAGE]):
        of_dataset = rows[rows["dataset"] == dataset]
        for measure in labels.in_known_order(of_dataset["measure"], MEASURES):
            tables.append(_study_table(name, of_dataset[of_dataset["measure"] == measure]))
    return tables


def _study_table(name: str, rows: pd.DataFrame) -> Table:
    dataset, measure = str(rows["dataset"].iloc[0]), str(rows["measure"].iloc[0])
    views = list(dict.fromkeys(rows["view"]))
    kinds = ["value", *(["harmonic"] if rows["harmonic"].notna().any() else [])]
    columns, cells = [Column("model", "Model", "How the encoder was trained.")], {}
    cells["model"] = list(dict.fromkeys(rows["model"]))
    by_key = rows.set_index(["view", "model"])
    for kind in kinds:
        for view in views:
            of_view = by_key.loc[view].reindex(cells["model"])
            if of_view[kind].isna().all():
                continue
            key = view if kind == "value" else f"H({view})"
            meaning = f"In percent, images of the view {view}."
            if kind == "harmonic":
                meaning = f"Harmonic mean of the accuracy on clean images and under {view}, in percent."
            columns.append(Column(key, key, meaning, "interval", 1, "high"))
            cells[key] = [_in_percent(row, kind) for _, row in of_view.iterrows()]
            if of_view[f"paper_{kind}"].notna().any():
                columns.append(Column(f"paper {key}", f"{key}, paper", "As printed.", "paper", 2, "high"))
                cells[f"paper {key}"] = [_scaled(value) for value in of_view[f"paper_{kind}"]]
    note = "In percent; intervals are of the bootstrap, resampled by image."
    seeds = int(rows["n_seeds"].max())
    if seeds > 1:
        note += f" Each number is the mean over up to {seeds} encoders that differ in their seed."
    title = f"{name}, {labels.format_name(dataset)}: {MEASURES.get(measure, measure)}"
    n_images = labels.format_count(int(rows["n_images"].iloc[0]), "image")
    return Table(f"{name}-{dataset}-{measure}", f"{title} ({n_images})", note, columns, cells)


def _in_percent(row: pd.Series, kind: str) -> Measured:
    value, low, high = (_scaled(row[name]) for name in (kind, f"{kind}_low", f"{kind}_high"))
    return value, low, high


def _scaled(share: float) -> float | None:
    return None if pd.isna(share) else round(100 * float(share), 4)


def answers_table(name: str, answers: pd.DataFrame, facts: Mapping[str, Any]) -> Table:
    """The first answers of an entry of `answers`, with its promise.

    Args:
        name: of the entry.
        answers: columns of `confidence.answering.COLUMNS`.
        facts: provenance of the file.
    """
    shown = answers.head(MAX_ANSWERS)
    queries = labels.format_count(facts["queries"], "query")
    share = facts["acted"] / facts["queries"]
    title = (
        f"{name}: act on {facts['acted']:,} of {queries} ({100 * share:.0f} %) at precision {facts['precision']:g}, by "
        f"{labels.format_name(facts['estimator'])}"
    )
    notes = [f"Promise: {facts['promise']}"]
    if len(shown) < len(answers):
        notes.append(f"Shown are the first {MAX_ANSWERS}; results/answers/{name}.csv has all.")
    columns = [
        Column("query", "Query", explain("query")),
        Column("top1", "Top-1", explain("top1")),
        Column("p_right", "P(right)", explain("p_right"), "number", 2, "high"),
        Column("act", "Act", explain("act"), "mark"),
        Column("similarity", "Similarity", explain("similarity"), "number", 3, "high"),
        Column("uncertainty", "Uncertainty", explain("uncertainty"), "number", 4, "low"),
        Column("warning", "Warning", explain("warning")),
    ]
    cells: dict[str, list[Any]] = {}
    for column in columns:
        values = shown[column.key]
        if column.kind == "number":
            cells[column.key] = [None if (v := number(value)) is None else round(v, 6) for value in values]
        else:
            cells[column.key] = values.tolist()
    return Table(name, title, " ".join(notes), columns, cells)
