"""The table of a robustness study: for each data set a row per model and a column per view, as Markdown and LaTeX."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from overtop import labels
from overtop.evaluation.robustness import ACCURACY, AVERAGE
from overtop.tables import latex
from overtop.tables.attack_checks import checks_to_markdown, failures_to_markdown
from overtop.tables.blocks import UNDEFINED, Cell, Row
from overtop.tables.markdown import escape, format_cell, format_grid
from overtop.terms import CLEAN

MEASURES = {
    ACCURACY: "accuracy",
    "map": "mAP",
    "map_softmax": "mAP by softmax",
    "precision_at_3": "precision at 3",
    "recall_at_3": "recall at 3",
    "f1_at_3": "F1 at 3",
    "class_precision_at_3": "precision at 3 per class",
    "class_recall_at_3": "recall at 3 per class",
    "class_f1_at_3": "F1 at 3 per class",
}
"""Display names of measures, in the order of tables."""


@dataclass(frozen=True)
class RobustnessTable:
    """What the table of a study shows.

    Attributes:
        name: of the study.
        rows: rows of `evaluation.robustness.measure_robustness` and `combine_multilabel` with the columns of
            `published_accuracies.add_paper_columns`.
        attacks: the full specification of each attack by name, in the order of the columns.
        harmonic: attacks whose harmonic mean with the clean accuracy is shown.
        checks: result of `evaluation.attack_checks.check_attacks`.
        baseline: model that the others are compared with.
        notes: further sentences for the caption.
    """

    name: str
    rows: pd.DataFrame
    attacks: Mapping[str, str]
    harmonic: Sequence[str]
    checks: pd.DataFrame
    baseline: str
    notes: Sequence[str]

    def caption(self) -> str:
        """What the numbers are, without the specification of the attacks."""
        parts = [
            "Accuracy in percent (of images that retrieve captions: Recall@1) on the clean images and under each "
            "attack; H is the harmonic mean of clean and attacked accuracy. In brackets: bootstrap intervals, "
            "resampled by image."
        ]
        n_seeds = sorted(self.rows["n_seeds"].unique())
        if n_seeds[-1] > 1:
            counts = " or ".join(map(str, n_seeds))
            parts.append(
                f"Each number is the mean over encoders that differ in their seed ({counts} per model), sd is the "
                "standard deviation over them; the intervals do not include the differences between seeds."
            )
        parts.append(
            f"Best of each column in bold; a star: differs from {self.baseline}, as the interval of the paired "
            "difference excludes zero (not adjusted for the number of comparisons)."
        )
        return " ".join([*parts, *self.notes])

    def specifications(self) -> list[str]:
        """One line per attack."""
        return [f"{name}: {description}" for name, description in self.attacks.items()]


@dataclass(frozen=True)
class _Grid:
    """Models and columns of one data set and measure as text; a column is a view, or the harmonic mean with one."""

    title: str
    measure: str
    columns: list[str]
    rows: list[Row]


def robustness_to_markdown(table: RobustnessTable) -> str:
    """The failed checks, a grid per data set, the specification of each attack, and the counts of all checks.

    Args:
        table: the study.
    """
    grids = []
    for grid in _grids(table):
        body = [[escape(row.method), *map(format_cell, row.cells)] for row in grid.rows]
        grids.append(f"## {escape(grid.title)}\n\n{format_grid(['Model', *map(escape, grid.columns)], body)}")
    attacks = "\n".join(["## Attacks", "", *(f"- {escape(line)}" for line in table.specifications())])
    checks = f"## Sanity checks\n\n{checks_to_markdown(table.checks)}"
    parts = [failures_to_markdown(table.checks), *grids, escape(table.caption()), attacks, checks]
    return "\n\n".join(parts) + "\n"


def robustness_to_latex(table: RobustnessTable) -> str:
    """A table per data set and measure for a paper; needs the package booktabs.

    Args:
        table: the study.
    """
    grids = list(_grids(table))
    labelled = [(grid, _latex_label(table.name, grid.title)) for grid in grids]
    caption = latex.escape(f"{table.caption()} Attacks: {'; '.join(table.specifications())}.")
    further = f"As Table~\\ref{{{labelled[0][1]}}}."
    return "\n".join(
        _format_latex(grid, label, further if number else caption) for number, (grid, label) in enumerate(labelled)
    )


def robustness_summary(rows: pd.DataFrame) -> list[str]:
    """One line per model with its accuracy in each view: the average of a study, or its only data set.

    Args:
        rows: rows of `evaluation.robustness.measure_robustness`.
    """
    accuracies = rows[rows["measure"] == ACCURACY]
    shown = AVERAGE if (accuracies["dataset"] == AVERAGE).any() else accuracies["dataset"].iloc[0]
    lines = []
    for model, of_model in accuracies[accuracies["dataset"] == shown].groupby("model", sort=False):
        numbers = (
            f"{row['view']} {format_percent(row['value'])} {_format_interval(row, 'value')}"
            for _, row in of_model.iterrows()
        )
        lines.append(f"{labels.format_name(str(shown))}, {model}: accuracy in percent {', '.join(numbers)}")
    return lines


def format_percent(value: float) -> str:
    """A share as a percentage with one decimal; a dash if it is missing."""
    return UNDEFINED if pd.isna(value) else f"{100 * value:.1f}"


def _grids(table: RobustnessTable) -> Iterator[_Grid]:
    """The average first, then the data sets in their order; of several measures those in the order of `MEASURES`."""
    datasets = list(table.rows["dataset"].unique())
    for dataset in labels.in_known_order(datasets, [AVERAGE]):
        of_dataset = table.rows[table.rows["dataset"] == dataset]
        for measure in labels.in_known_order(of_dataset["measure"], MEASURES):
            rows = of_dataset[of_dataset["measure"] == measure]
            n_images = labels.format_count(int(rows["n_images"].iloc[0]), "image")
            if dataset == AVERAGE:
                n_datasets = table.rows.loc[table.rows["measure"] == ACCURACY, "dataset"].nunique() - 1
                title = f"Average over {n_datasets} data sets ({n_images})"
            else:
                title = f"{labels.format_name(str(dataset))} ({n_images})"
            title += "" if measure == ACCURACY else f", {MEASURES.get(str(measure), str(measure))}"
            yield _make_grid(table, rows, title)


def _make_grid(table: RobustnessTable, rows: pd.DataFrame, title: str) -> _Grid:
    views = [name for name in (CLEAN, *table.attacks) if (rows["view"] == name).any()]
    harmonic = [name for name in table.harmonic if rows["harmonic"].notna().any()]
    columns = [*((name, "value") for name in views), *((name, "harmonic") for name in harmonic)]
    by_key = rows.set_index(["model", "view"])
    best = {(view, kind): _shown(by_key.xs(view, level="view")[kind]).max() for view, kind in columns}
    cells = [
        Row(model, model, [_cell(by_key.loc[(model, view)], kind, best[view, kind]) for view, kind in columns])
        for model in rows["model"].unique()
    ]
    headers = [view if kind == "value" else f"H({view})" for view, kind in columns]
    return _Grid(title, str(rows["measure"].iloc[0]), headers, cells)


def _cell(row: pd.Series, kind: str, best: float) -> Cell:
    value = row[kind]
    interval = ""
    if not pd.isna(value):
        interval = _format_interval(row, kind)
        if kind == "value" and not pd.isna(row["value_sd"]):
            interval += f", sd {format_percent(row['value_sd'])}"
    paper = row[f"paper_{kind}"]
    return Cell(
        number=format_percent(value),
        interval=interval,
        paper="" if pd.isna(paper) else f"{100 * paper:.2f}",
        best=bool(_shown(value) == best),
        starred=bool(kind == "value" and (row["difference_low"] > 0 or row["difference_high"] < 0)),
    )


def _format_interval(row: pd.Series, kind: str) -> str:
    return f"[{format_percent(row[f'{kind}_low'])}, {format_percent(row[f'{kind}_high'])}]"


def _shown(values: pd.Series) -> pd.Series:
    """Values with the decimals that are shown, so that all numbers that look equal to the best one are in bold."""
    return (100 * values).round(1)


def _latex_label(name: str, title: str) -> str:
    words = "".join(character if character.isalnum() else " " for character in title.partition("(")[0].lower()).split()
    measure = title.rpartition(", ")[2].split() if ", " in title.rpartition(")")[2] else []
    return f"tab:{'-'.join([name, *words, *measure])}"


def _format_latex(grid: _Grid, label: str, caption: str) -> str:
    lines = [
        f"% {grid.title}; needs \\usepackage{{booktabs}}",
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        f"\\caption{{{latex.escape(grid.title)}. {caption}}}",
        f"\\label{{{label}}}",
        f"\\begin{{tabular}}{{l{'r' * len(grid.columns)}}}",
        r"\toprule",
        latex.format_row(["Model", *map(latex.escape, grid.columns)]),
        r"\midrule",
        *latex.format_body(grid.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"
