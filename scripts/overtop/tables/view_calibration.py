"""Calibration of several models on clean and on attacked images, as Markdown."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from overtop import labels
from overtop.evaluation.probabilities import ECE_BINS
from overtop.evaluation.robustness import AVERAGE
from overtop.tables.blocks import Cell, format_number
from overtop.tables.markdown import escape, format_cell, format_grid

_HEADERS = {
    "accuracy": "Accuracy",
    "confidence": "Confidence",
    "ece_width": "ECE, equal width ↓",
    "ece_calibrated": "if calibrated",
    "ece_mass": "ECE, equal mass ↓",
    "brier": "Brier ↓",
    "nll": "NLL ↓",
    "auroc": "AUROC of error ↑",
    "aurc": "AURC ↓",
}
_DECIMALS = 3
_DESCRIPTIONS = {
    "model": "the softmax at the model's own temperature, one over its logit scale",
    "fitted": "the softmax at one temperature, fitted on clean images of the validation split of the fine-tuning",
    "dirichlet": "the mean of the Dirichlet distribution, a softmax at the temperature of its evidence",
}


def calibration_to_markdown(table: pd.DataFrame) -> str:
    """A section per data set, the average first, with a grid per kind of probability: a row per model and view.

    Args:
        table: result of `evaluation.view_calibration.measure_view_calibration`.
    """
    datasets = labels.in_known_order(table["dataset"], [AVERAGE])
    sections = [section for name in datasets for section in _sections(table, name)]
    return "\n\n".join([escape(_introduction(table)), *sections]) + "\n"


def _introduction(table: pd.DataFrame) -> str:
    names = labels.in_known_order(table["probability"], labels.PROBABILITIES)
    seeds = sorted(table["n_seeds"].unique())
    count = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    parts = [
        "Is the probability of the predicted class its chance of being right? Confidence is the mean of that "
        f"probability; ECE is the expected calibration error in {ECE_BINS} bins of equal width and of equal mass; "
        "Brier (0 to 2) and NLL (nats) are proper scores; AUROC of error is the probability that a wrong answer has a "
        "lower confidence than a right one (0.5: uninformative); AURC is the area under the risk-coverage curve.",
        "Probabilities: " + "; ".join(_DESCRIPTIONS[name] for name in names) + ".",
        f"Mean over the encoders of a model ({count}); in brackets, bootstrap intervals from resamples of the images. "
        "ECE is biased upwards, and its intervals rarely contain zero even for a perfectly calibrated model: compare "
        "it with the column 'if calibrated', the ECE in bins of equal width that such a model would have on average.",
    ]
    return " ".join(parts)


def _sections(table: pd.DataFrame, dataset: str) -> Iterator[str]:
    rows = table[table["dataset"] == dataset]
    name = "Average over the data sets" if dataset == AVERAGE else labels.format_name(dataset)
    yield f"## {escape(name)} ({labels.format_count(int(rows['n_images'].max()), 'image')})"
    for probability in labels.in_known_order(rows["probability"], labels.PROBABILITIES):
        title = labels.format_name(probability)
        yield f"### {labels.capitalise(title)}"
        yield _grid(rows[rows["probability"] == probability])


def _grid(rows: pd.DataFrame) -> str:
    lines = [
        [escape(row["model"]), escape(row["view"]), f"{row['temperature']:.3g}", *map(format_cell, _cells(row))]
        for _, row in rows.iterrows()
    ]
    return format_grid(["Model", "View", "T", *_HEADERS.values()], lines, text_columns=2)


def _cells(row: pd.Series) -> Sequence[Cell]:
    """The measures with their intervals; none is marked as best, because views are not alternatives."""
    cells = []
    for name in _HEADERS:
        ends = row.get(f"{name}_low", np.nan), row.get(f"{name}_high", np.nan)
        shown = ", ".join(format_number(end, _DECIMALS) for end in ends)
        interval = "" if pd.isna(ends[0]) else f"[{shown}]"
        cells.append(Cell(format_number(row[name], _DECIMALS), interval, paper="", best=False, starred=False))
    return cells
