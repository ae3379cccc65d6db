"""What the bank estimators depend on: AUROC and AURC against the bank's size, parameters and queries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overtop import labels
from overtop.evaluation.selection import select_rows
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.method_styles import ESTIMATOR_STYLES

MEASURES = {"auroc": "AUROC of being wrong (ideal 1)", "aurc": "AURC (ideal 0)"}
"""What a row of panels shows, with its label."""

PANELS = {
    "size": "Queries in the bank",
    "nearest": "k of Bank NNN",
    "shrinkage": "α of Bank NNN",
    "exponent": "Exponent of Bank softmax",
    "source": "",
}
"""What a column of panels varies, with its label."""

DEFAULTS = {"nearest": 16, "shrinkage": 0.75, "exponent": 0.5}
"""Values of the estimators themselves."""

_TICKS = {"size": 10, "nearest": 4}  # ratio between two ticks of a logarithmic axis
_LINE_STYLES: dict[str, Any] = {"t2i": "-", "i2t": (0, (4, 1.6))}
_OFFSETS = {"t2i": -0.12, "i2t": 0.12}  # of a direction's points in the last column
_WIDTHS = {"size": 2.2, "nearest": 1.75, "shrinkage": 1.75, "exponent": 1.75, "source": 2.4}  # inches
_HEIGHT, _FOOTER = 2.3, 1.4
_BASELINE = "none"
_FOOTNOTE = (
    "Bands: range over draws of the bank. Dotted: without a bank (max softmax). Vertical lines: the estimators' own "
    "values"
)


def bank_figure(numbers: pd.DataFrame) -> Figure:
    """AUROC and AURC (rows) of the bank estimators against what is varied (columns), a line per direction.

    Args:
        numbers: rows of `evaluation.bank_ablation.ablate_bank` of one posterior, with `dataset`, `posterior` and
            `direction`.

    Raises:
        OvertopError: there are no rows, a column is missing, or there are several data sets or posteriors.
    """
    columns = ["dataset", "posterior", "direction", "estimator", "varied", "value", *MEASURES]
    check_columns(numbers, columns, "ablation")
    check_single_value(numbers, ["dataset", "posterior"], "a figure of banks")
    with style.figure_style():
        figure = style.new_figure(sum(_WIDTHS.values()), len(MEASURES) * _HEIGHT + _FOOTER)
        grid = figure.subplots(len(MEASURES), len(PANELS), sharex="col", width_ratios=list(_WIDTHS.values()))
        for axes, measure in zip(grid, MEASURES, strict=True):
            for ax, varied in zip(axes, PANELS, strict=True):
                _draw_panel(ax, numbers, varied, measure)
            axes[0].set_ylabel(MEASURES[measure])
            style.share_y_limits(axes[:-1])  # the last panel has its own: a bank of the wrong queries is far worse
            for ax in axes[1:-1]:
                ax.tick_params(labelleft=False)
        for ax, varied in zip(grid[-1], PANELS, strict=True):
            ax.set_xlabel(PANELS[varied])
        names = (labels.format_name(str(numbers[column].iloc[0])) for column in ("dataset", "posterior"))
        grid[0, 0].set_title(", ".join(names), loc="left")
        style.add_legend_below(grid[-1, 0], _legend_handles(numbers), "", handlelength=2.4)
        style.add_footnote(figure, _FOOTNOTE)
    return figure


def _draw_panel(ax: Axes, numbers: pd.DataFrame, varied: str, measure: str) -> None:
    baselines = select_rows(numbers, varied="source", value=_BASELINE)
    for direction, rows in baselines.groupby("direction"):
        ax.axhline(
            rows[measure].iloc[0], color="0.45", linewidth=0.8, linestyle=":" if direction == "t2i" else (0, (1, 3))
        )
    panel = select_rows(numbers, varied=varied)
    if varied == "source":
        _draw_sources(ax, panel[panel["value"] != _BASELINE], measure)
        return
    for (estimator, direction), rows in panel.groupby(["estimator", "direction"], sort=False):
        _draw_line(ax, rows.assign(value=rows["value"].astype(float)), measure, str(estimator), str(direction))
    if varied in _TICKS:
        ax.set_xscale("log", base=_TICKS[varied])
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.minorticks_off()
    if varied in DEFAULTS:
        ax.axvline(DEFAULTS[varied], color="0.8", linewidth=0.8, zorder=0)


def _draw_line(ax: Axes, rows: pd.DataFrame, measure: str, estimator: str, direction: str) -> None:
    """Draw the mean over the draws of each value, and their range."""
    by_value = rows.groupby("value")[measure].agg(["mean", "min", "max"])
    colour, marker = ESTIMATOR_STYLES[estimator]
    properties: dict[str, Any] = {"color": colour, "linestyle": _LINE_STYLES[direction], "linewidth": 1.1}
    properties |= {"marker": marker, "markersize": 3.5, "markerfacecolor": colour if direction == "t2i" else "white"}
    ax.plot(by_value.index, by_value["mean"], **properties)
    ax.fill_between(by_value.index, by_value["min"], by_value["max"], color=colour, alpha=0.12, linewidth=0)


def _draw_sources(ax: Axes, rows: pd.DataFrame, measure: str) -> None:
    """Draw a point per source, estimator and direction."""
    sources = list(rows["value"].unique())
    for (estimator, direction), same in rows.groupby(["estimator", "direction"], sort=False):
        colour, marker = ESTIMATOR_STYLES[str(estimator)]
        means = same.groupby("value")[measure].mean().reindex(sources)
        fill = colour if direction == "t2i" else "white"
        ax.plot(
            np.arange(len(sources)) + _OFFSETS[str(direction)],
            means,
            marker,
            color=colour,
            markerfacecolor=fill,
            markersize=4,
        )
    ax.set_xticks(range(len(sources)), [source.capitalize() for source in sources], rotation=40, ha="right")
    ax.set_xlim(-0.5, len(sources) - 0.5)


def _legend_handles(numbers: pd.DataFrame) -> Sequence[Artist]:
    estimators = labels.in_known_order(numbers["estimator"], labels.ESTIMATORS)
    directions = labels.in_known_order(numbers["direction"], labels.DIRECTIONS)
    return [
        style.legend_handle(
            f"{labels.format_name(estimator)}, {labels.format_name(direction)}",
            color=ESTIMATOR_STYLES[estimator][0],
            marker=ESTIMATOR_STYLES[estimator][1],
            markerfacecolor=ESTIMATOR_STYLES[estimator][0] if direction == "t2i" else "white",
            markersize=4,
            linestyle=_LINE_STYLES[direction],
        )
        for estimator in estimators
        for direction in directions
    ]
