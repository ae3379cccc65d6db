"""Which differences between methods are significant, as Markdown and in short for the terminal."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from overtop import labels
from overtop.evaluation.verdicts import REVERSED, SURVIVES, VERDICTS
from overtop.tables.markdown import escape, format_grid
from overtop.tables.wide import MEASURES

PANEL = ["protocol", "dataset", "direction"]

IMPROVEMENT_SIGNS = {"neg_sr2": 1, "aurc": -1}
"""The measures, and the sign of a difference in favour of the first method."""

MethodKey = tuple[str, str]
"""Estimator and posterior."""


class Difference(NamedTuple):
    """A difference that is shown, as a positive number, with the better method first.

    Attributes:
        measure: `neg_sr2` or `aurc`.
        better: the better method.
        worse: the other method.
        size: absolute difference of the measure.
        low: lower end of its interval.
        high: upper end of its interval.
        paper: the paper's difference with the same sign convention, or NaN.
        verdict: one of `evaluation.verdicts.VERDICTS`, or None without a number of the paper.
    """

    measure: str
    better: MethodKey
    worse: MethodKey
    size: float
    low: float
    high: float
    paper: float
    verdict: str | None


def differences_to_markdown(table: pd.DataFrame) -> str:
    """The number of significant differences in each panel; then per panel which, and how the paper's compare.

    Args:
        table: result of `evaluation.comparison.compare_methods`, with `dataset`.
    """
    if table.empty:
        return "There are no two methods to compare.\n"
    panels = [rows for _, rows in table.groupby(PANEL, sort=False)]
    return "\n\n".join([_introduction(table), _overview(panels), *map(_section, panels)]) + "\n"


def differences_summary(table: pd.DataFrame) -> list[str]:
    """One line per panel with the number of the paper's differences by verdict.

    Args:
        table: result of `evaluation.comparison.compare_methods`, with `dataset`.
    """
    lines = []
    for _, rows in table[table["verdict"].notna()].groupby(PANEL, sort=False):
        counts = (f"{verdict} {(rows['verdict'] == verdict).sum()}" for verdict in VERDICTS)
        lines.append(f"{_panel_label(rows)}: the paper's {len(rows)} differences: {', '.join(counts)}")
    return lines


def _introduction(table: pd.DataFrame) -> str:
    resamples = " or ".join(f"{count:,}" for count in sorted(table["resamples"].unique()))
    parts = [
        "Every pair of methods is compared on the same queries. A difference is shown if its p-value, from "
        f"{resamples} resamples of the images and after Holm's adjustment for all pairs of a panel, is below one minus "
        "the level of the intervals (0.05 at a level of 95%); its interval, which is not adjusted, then excludes zero. "
        "If no methods differ, the chance that a panel shows any difference by a measure is about 5%."
    ]
    if table["verdict"].notna().any():
        parts.append(
            "A difference in -S·R² of the paper survives if ours is shown with the same sign, and is reversed if ours "
            "is shown with the opposite sign; a tie is no difference in the paper either."
        )
    return escape(" ".join(parts))


def _overview(panels: Sequence[pd.DataFrame]) -> str:
    """A row per panel: pairs, differences shown by each measure, counts of the verdicts."""
    verdicts = VERDICTS if any(rows["verdict"].notna().any() for rows in panels) else ()
    lines = []
    for rows in panels:
        shown = rows.loc[rows["shown"], "measure"]
        lines.append(
            [
                escape(_panel_label(rows)),
                str(len(rows) // len(IMPROVEMENT_SIGNS)),
                *(str((shown == measure).sum()) for measure in IMPROVEMENT_SIGNS),
                *(str((rows["verdict"] == verdict).sum()) for verdict in verdicts),
            ]
        )
    shown_headers = [f"shown by {MEASURES[measure].markdown}" for measure in IMPROVEMENT_SIGNS]
    return format_grid(["Panel", "Pairs", *shown_headers, *(f"paper's: {verdict}" for verdict in verdicts)], lines)


def _section(rows: pd.DataFrame) -> str:
    """A panel: for each method the numbers of the methods that it is better than, and the paper's differences."""
    names, differences = _method_labels(rows), _shown_differences(rows)
    numbers = {method: str(number) for number, method in enumerate(names, start=1)}
    worse: dict[tuple[MethodKey, str], list[str]] = {}
    for d in differences:
        worse.setdefault((d.better, d.measure), []).append(numbers[d.worse])
    lines = [
        [numbers[method], escape(name), *(", ".join(worse.get((method, m), [])) for m in IMPROVEMENT_SIGNS)]
        for method, name in names.items()
    ]
    headers = ["", "Method", *(f"better than, by {MEASURES[measure].markdown}" for measure in IMPROVEMENT_SIGNS)]
    parts = [f"### {escape(_panel_label(rows))}", format_grid(headers, lines, text_columns=len(headers))]
    decided = [d for d in differences if d.verdict in (SURVIVES, REVERSED)]
    if decided:
        parts.append(_paper_grid(decided, names))
    return "\n\n".join(parts)


def _paper_grid(differences: Sequence[Difference], names: Mapping[MethodKey, str]) -> str:
    """The paper's differences that survive and those that are reversed, the largest of ours first."""
    lines = [
        [
            f"{names[d.better]} over {names[d.worse]}",
            str(d.verdict),
            f"{d.size:.3f}",
            f"[{d.low:.3f}, {d.high:.3f}]",
            f"{d.paper:.2f}",
        ]
        for d in sorted(differences, key=lambda d: (VERDICTS.index(str(d.verdict)), -d.size))
    ]
    headers = ["The paper's differences", "", MEASURES["neg_sr2"].markdown, "interval", "paper"]
    return format_grid(headers, lines, text_columns=2)


def _shown_differences(rows: pd.DataFrame) -> list[Difference]:
    differences = []
    for row in rows[rows["shown"]].to_dict("records"):
        better, worse = ((row[f"{side}_estimator"], row[f"{side}_posterior"]) for side in ("first", "second"))
        size, low, high, paper = (row[column] for column in ("difference", "low", "high", "paper_difference"))
        if size * IMPROVEMENT_SIGNS[row["measure"]] < 0:
            better, worse = worse, better
        if size < 0:
            size, low, high, paper = -size, -high, -low, -paper
        differences.append(Difference(row["measure"], better, worse, size, low, high, paper, row["verdict"]))
    return differences


def _method_labels(rows: pd.DataFrame) -> dict[MethodKey, str]:
    """Display name of each method, in order of appearance."""
    columns = ["estimator", "posterior", "kind", "architecture"]
    sides = [rows[[f"{side}_{c}" for c in columns]].set_axis(columns, axis=1) for side in ("first", "second")]
    methods = pd.concat(sides).drop_duplicates()
    posteriors = labels.posterior_labels(methods)
    return {
        (row.estimator, row.posterior): f"{labels.format_name(row.estimator)}, {posteriors[row.posterior]}"
        for row in methods.itertuples()
    }


def _panel_label(rows: pd.DataFrame) -> str:
    protocol, dataset, direction = (labels.format_name(rows.iloc[0][column]) for column in PANEL)
    return f"{dataset}, {direction}, {protocol}"
