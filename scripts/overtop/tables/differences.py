"""Which differences between methods hold, for reading."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from overtop import labels as words
from overtop.tables.markdown import escape, grid
from overtop.tables.typeset import SIGNIFICANT
from overtop.tables.wide import MEASURES

PANEL = ["protocol", "dataset", "direction"]
VERDICTS = ("survives", "reversed", "not shown", "tie")

BETTER = {"neg_sr2": 1, "aurc": -1}
"""The measures, and the sign of a difference in favour of the first method."""

_Method = tuple[str, str]


class _Shown(NamedTuple):
    """A difference that is shown, by so much in favour of a method (estimator, posterior)."""

    measure: str
    better: _Method
    worse: _Method
    by: float
    low: float
    high: float
    paper: float
    verdict: str
    firm: bool


def differences_to_markdown(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> str:
    """How many differences are shown in each panel; then panel by panel which, and what becomes of the paper's.

    Args:
        table: of `evaluation.comparison.compare`, with `dataset`.
        labels: estimators and datasets in words, where the project's own do not suit.
    """
    if table.empty:
        return "There are no two methods to compare.\n"
    panels = [rows for _, rows in table.groupby(PANEL, sort=False)]
    parts = [_introduction(table), _overview(panels, labels), *(_section(rows, labels) for rows in panels)]
    return "\n\n".join(parts) + "\n"


def differences_summary(table: pd.DataFrame) -> list[str]:
    """What becomes of the paper's differences, in a line per panel that it speaks of.

    Args:
        table: of `evaluation.comparison.compare`, with `dataset`.
    """
    lines = []
    for _, rows in table[table["verdict"].notna()].groupby(PANEL, sort=False):
        counts = (f"{verdict} {(rows['verdict'] == verdict).sum()}" for verdict in VERDICTS)
        lines.append(f"{_title(rows, None)}: the paper's {len(rows)} differences: {', '.join(counts)}")
    return lines


def _introduction(table: pd.DataFrame) -> str:
    resamples = " or ".join(f"{count:,}" for count in sorted(table["resamples"].unique()))
    parts = [
        f"Every pair of methods on the same queries. A difference is shown where its interval, from {resamples} "
        "resamples of the images, excludes zero. Where nothing differs, one pair in twenty is shown by luck at a level "
        f"of 95%; in bold what stays after Holm's adjustment for all pairs of a panel (p < {SIGNIFICANT})."
    ]
    if table["verdict"].notna().any():
        parts.append(
            "A difference of the paper's in -S·R² survives where ours is shown with the same sign, and is reversed "
            "where ours is shown with the other one; a tie is a difference that the paper does not have either."
        )
    return escape(" ".join(parts))


def _overview(panels: Sequence[pd.DataFrame], labels: Mapping[str, str] | None) -> str:
    held = any(rows["verdict"].notna().any() for rows in panels)
    verdicts = VERDICTS if held else ()
    lines = []
    for rows in panels:
        counts = []
        for measure in BETTER:
            shown = rows[(rows["measure"] == measure) & rows["shown"]]
            counts.append(f"{len(shown)} (**{(shown['p_holm'] < SIGNIFICANT).sum()}**)")
        found = [str((rows["verdict"] == verdict).sum()) for verdict in verdicts]
        lines.append([escape(_title(rows, labels)), str(len(rows) // len(BETTER)), *counts, *found])
    shown_by = [f"shown by {MEASURES[measure].markdown}" for measure in BETTER]
    return grid(["Panel", "Pairs", *shown_by, *(f"paper's: {verdict}" for verdict in verdicts)], lines)


def _section(rows: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    names, shown = _names(rows, labels), _from_the_better(rows)
    numbers = {method: str(number) for number, method in enumerate(names, start=1)}
    lines = [
        [
            numbers[method],
            escape(name),
            *(
                ", ".join(_bold(numbers[d.worse], d.firm) for d in shown if (d.measure, d.better) == (measure, method))
                for measure in BETTER
            ),
        ]
        for method, name in names.items()
    ]
    heads = ["", "Method", *(f"better than, by {MEASURES[measure].markdown}" for measure in BETTER)]
    parts = [f"### {escape(_title(rows, labels))}", grid(heads, lines, words=len(heads))]
    found = [d for d in shown if d.verdict in ("survives", "reversed")]
    if found:
        parts.append(_what_became(found, names))
    return "\n\n".join(parts)


def _what_became(found: Sequence[_Shown], names: Mapping[_Method, str]) -> str:
    """The paper's differences that survive and those that are reversed, the largest of ours first."""
    lines = [
        [
            f"{names[d.better]} over {names[d.worse]}",
            d.verdict,
            _bold(f"{d.by:.3f}", d.firm),
            f"[{d.low:.3f}, {d.high:.3f}]",
            f"{d.paper:.2f}",
        ]
        for d in sorted(found, key=lambda d: (VERDICTS.index(d.verdict), -d.by))
    ]
    return grid(["The paper's differences", "", f"{MEASURES['neg_sr2'].markdown}", "interval", "paper"], lines, words=2)


def _from_the_better(rows: pd.DataFrame) -> list[_Shown]:
    """The differences that are shown."""
    found = []
    for row in rows[rows["shown"]].to_dict("records"):
        better, worse = ((row[f"{side}_estimator"], row[f"{side}_posterior"]) for side in ("first", "second"))
        by, low, high, paper = (row[column] for column in ("difference", "low", "high", "paper_difference"))
        if by * BETTER[row["measure"]] < 0:
            better, worse = worse, better
        if by < 0:
            by, low, high, paper = -by, -high, -low, -paper
        firm = row["p_holm"] < SIGNIFICANT
        found.append(_Shown(row["measure"], better, worse, by, low, high, paper, row["verdict"], firm))
    return found


def _names(rows: pd.DataFrame, labels: Mapping[str, str] | None) -> dict[_Method, str]:
    """Each method in words, in order."""
    columns = ["estimator", "posterior", "kind", "architecture"]
    sides = [rows[[f"{side}_{c}" for c in columns]].set_axis(columns, axis=1) for side in ("first", "second")]
    methods = pd.concat(sides).drop_duplicates()
    posteriors = words.posteriors(methods)
    return {
        (row.estimator, row.posterior): f"{words.label(row.estimator, labels)}, {posteriors[row.posterior]}"
        for row in methods.itertuples()
    }


def _title(rows: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    protocol, dataset, direction = (words.label(rows.iloc[0][column], labels) for column in PANEL)
    return f"{dataset}, {direction}, {protocol}"


def _bold(text: str, firm: bool) -> str:
    return f"**{text}**" if firm else text
