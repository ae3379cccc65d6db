"""Transfer of confidence models as Markdown: a section per direction and estimator."""

from collections.abc import Iterator

import pandas as pd

from overtop import labels
from overtop.confidence.transfer import LABELLED, Transfers
from overtop.evaluation.probabilities import ECE_BINS
from overtop.tables.blocks import UNDEFINED, Cell, format_number
from overtop.tables.markdown import escape, format_cell, format_grid

_HEADERS = {
    "accuracy": "Right (R@1)",
    "p_right": "Mean p",
    "overconfidence": "Overconfidence",
    "ece": "ECE ↓",
    "ece_calibrated": "if calibrated",
    "brier": "Brier ↓",
    "nll": "NLL ↓",
    "auroc": "AUROC ↑",
}
_DECIMALS = 3


def transfers_to_markdown(transfers: Transfers) -> str:
    """A section per direction and estimator: a grid of probabilities and one of thresholds, a row per data set.

    Args:
        transfers: result of `confidence.transfer.measure_transfers`.
    """
    sections = [escape(_introduction(transfers))]
    directions = labels.in_known_order(transfers.measures["direction"], labels.DIRECTIONS)
    for direction in directions:
        measures = transfers.measures[transfers.measures["direction"] == direction]
        for estimator in labels.in_known_order(measures["estimator"], labels.ESTIMATORS):
            sections += _section(transfers, direction, estimator)
    if transfers.omitted:
        sections.append(escape(f"Left out: {'; '.join(transfers.omitted)}."))
    return "\n\n".join(sections) + "\n"


def transfers_summary(measures: pd.DataFrame) -> list[str]:
    """One line per direction and estimator: overconfidence on each data set, for the summary of a run.

    Args:
        measures: `results/transfers/NAME.csv`.
    """
    lines = []
    fitted = measures[measures["fit"] == LABELLED]
    for (direction, estimator), rows in fitted.groupby(["direction", "estimator"], sort=False):
        title = labels.format_name(str(direction))
        parts = [
            f"{labels.format_name(row['dataset'])} {row['overconfidence']:+.3f} {_interval(row, 'overconfidence')}"
            for _, row in rows.iterrows()
        ]
        of_model = f"{labels.capitalise(title)}, {labels.format_name(str(estimator))}"
        lines.append(f"{of_model}: mean probability minus share of right answers: {'; '.join(parts)}")
    return lines


def _introduction(transfers: Transfers) -> str:
    confidence = transfers.thresholds["confidence"].iloc[0]
    return (
        "Do the probabilities and thresholds of a confidence model hold on other data than it was fitted on? Mean p is "
        "the mean probability that the top-1 is right; overconfidence is mean p minus the share of right ones (R@1). "
        f"ECE: expected calibration error in {ECE_BINS} bins of equal count, to be compared with the column 'if "
        "calibrated', the ECE of a perfectly calibrated model with the same probabilities; Brier (0 to 1) and NLL "
        "(nats) are proper scores; AUROC: chance that a wrong answer has a lower probability than a right one. "
        "'Labelled': the mapping was fitted to labelled queries; 'unlabelled': the estimator's own probability. "
        "In brackets, intervals. One query per image. Drift: distance of the similarities from those of the labelled "
        "queries (Kolmogorov-Smirnov); marked with an exclamation mark where users are warned of it. Thresholds "
        f"guarantee their precision with probability {confidence:g} for new queries like the labelled ones, with the "
        "same gallery; on other data nothing is promised."
    )


def _section(transfers: Transfers, direction: str, estimator: str) -> Iterator[str]:
    measures, thresholds = (
        table[(table["direction"] == direction) & (table["estimator"] == estimator)]
        for table in (transfers.measures, transfers.thresholds)
    )
    first = measures.iloc[0]
    title = labels.format_name(direction)
    yield escape(f"## {labels.capitalise(title)}: {labels.format_name(estimator)}")
    fitted = labels.format_count(int(first["n_labelled"]), "labelled query")
    yield escape(f"Fitted to {fitted} with a gallery of {labels.format_count(int(first['labelled_gallery']), 'item')}.")
    headers = ["Data set", "Probability", "Queries", "Gallery", "Drift", *_HEADERS.values()]
    yield format_grid(headers, [_measure_row(row) for _, row in measures.iterrows()], text_columns=2)
    headers = ["Data set", "Target", "Threshold", "Answered", "Right of these", "Met"]
    yield format_grid(headers, [_threshold_row(row) for _, row in thresholds.iterrows()])


def _measure_row(row: pd.Series) -> list[str]:
    cells = [
        Cell(format_number(row[name], _DECIMALS), _interval(row, name), paper="", best=False, starred=False)
        for name in _HEADERS
    ]
    drift = format_number(row["drift"], 2) + (" !" if row["unlike_labelled"] else "")
    sizes = [f"{row[name]:,}" for name in ("n_queries", "gallery")]
    return [_dataset(row), f"{row['fit']} ({row['mapping']})", *sizes, drift, *map(format_cell, cells)]


def _threshold_row(row: pd.Series) -> list[str]:
    achieved = Cell(
        format_number(row["achieved"], _DECIMALS), _interval(row, "achieved"), "", best=False, starred=False
    )
    met = UNDEFINED if pd.isna(row["met"]) else ("yes" if row["met"] else "no")
    coverage = format_number(row["coverage"], _DECIMALS)
    return [_dataset(row), f"{row['target']:g}", f"{row['threshold']:.3g}", coverage, format_cell(achieved), met]


def _dataset(row: pd.Series) -> str:
    return escape(f"{labels.format_name(row['dataset'])}, {row['split']}")


def _interval(row: pd.Series, name: str) -> str:
    ends = row.get(f"{name}_low"), row.get(f"{name}_high")
    if ends[0] is None or pd.isna(row[name]):
        return ""
    return f"[{', '.join(format_number(end, _DECIMALS) for end in ends)}]"
