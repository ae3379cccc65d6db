"""The methods of a figure: their curves joined with the number that legends show in brackets, and their panels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overtop import labels
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.checks import check_columns
from overtop.figures.method_styles import MethodStyle, MethodStyles

PANEL = ["dataset", "direction"]
METHOD = ["posterior", "estimator"]
_SETUP = ["protocol", "positives"]
LEGEND_MARGIN = 1.05
"""Inches to the left and right of a legend's text."""


@dataclass(frozen=True)
class Method:
    """A line of a panel: the rows of its curve, its style and its legend text."""

    rows: pd.DataFrame
    style: MethodStyle
    text: str

    def legend_handle(self) -> Line2D:
        """Its legend entry."""
        return style.legend_handle(self.text, **self.style.line_properties())


def join_metrics(
    curves: pd.DataFrame, metrics: pd.DataFrame, keys: Sequence[str], values: Sequence[str]
) -> pd.DataFrame:
    """`curves` with the `values` of each method's row in `metrics`.

    Args:
        curves: long table of curves, several rows per method.
        metrics: long table of metrics.
        keys: columns that identify a method in addition to dataset, direction, posterior, estimator, protocol and
            positives.
        values: columns of `metrics` to add.

    Raises:
        OvertopError: a column is missing, or a method has no row in `metrics` or several different ones.
    """
    on = [*PANEL, *METHOD, *_SETUP, *keys]
    check_columns(curves, [*on, "kind"], "curves")
    check_columns(metrics, [*on, *values], "metrics")
    unique = metrics[[*on, *values]].drop_duplicates()
    duplicates = unique[unique.duplicated(on)]
    if len(duplicates):
        raise OvertopError(f"metrics: two different rows for {_describe_row(duplicates, on)}; give each method once")
    numbers = curves.drop(columns=[value for value in values if value in curves])
    numbers = numbers.merge(unique, on=on, how="left", indicator="_merge_result")
    unmatched = numbers[numbers["_merge_result"] == "left_only"]
    if len(unmatched):
        row = _describe_row(unmatched, on)
        raise OvertopError(f"metrics: no row for {row}; evaluate it, or leave it out of the figure")
    return numbers.drop(columns="_merge_result")


MethodOrder = Sequence[tuple[str, str]]
"""Methods, (posterior, estimator), in the order of a legend."""


def order_methods(numbers: pd.DataFrame, value: str) -> MethodOrder:
    """The methods of one or several panels, the largest mean of `value` first and undefined ones last."""
    by_panel = numbers.drop_duplicates([*PANEL, *METHOD])
    means = by_panel.groupby(METHOD, sort=False)[value].mean()
    return sorted(means.index, key=lambda method: (math.isnan(means[method]), -means[method], method))


def list_methods(
    numbers: pd.DataFrame, value: str, decimals: int, styles: MethodStyles, order: MethodOrder | None
) -> list[Method]:
    """The methods of one panel in some order, by default that of `order_methods`; legend texts end in the value."""
    methods = {}
    for key, rows in numbers.groupby(METHOD, sort=False):
        first = rows.iloc[0]
        method_style = styles[first["posterior"], first["estimator"]]
        text = f"{method_style.label} [{format_value(float(first[value]), decimals)}]"
        methods[key] = Method(rows, method_style, text)
    return [methods[key] for key in order or order_methods(numbers, value) if key in methods]


def format_value(number: float, decimals: int) -> str:
    """A number as legends show it: with a real minus sign, a dash for NaN."""
    return "–" if math.isnan(number) else f"{round(number, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def draw_line(
    ax: Axes, x: pd.Series, y: pd.Series, unreliable: pd.Series, method_style: MethodStyle, label: str, **keywords: Any
) -> None:
    """Draw a line that is faint next to `unreliable` points; `keywords` override its properties."""
    near = unreliable | unreliable.shift(1, fill_value=False) | unreliable.shift(-1, fill_value=False)
    properties = {**method_style.line_properties(), "marker": "", **keywords}
    ax.plot(x, y.where(~unreliable), label=label, **properties)
    if unreliable.any():
        ax.plot(x, y.where(near), label=f"_faint {label}", alpha=style.FAINT_ALPHA, **properties)


def panel_size(styles: MethodStyles, n_legend_lines: int) -> tuple[float, float]:
    """Width and height of a panel in inches; long names widen it, since a wide legend would squeeze the axes."""
    longest = max(style.text_width(f"{s.label} [−0.00]", "legend.fontsize") for s in styles.values())
    height = style.PANEL_HEIGHT + style.LEGEND_LINE_HEIGHT * n_legend_lines
    return max(style.PANEL_WIDTH, LEGEND_MARGIN + longest), height


def create_panels(
    curves: pd.DataFrame, styles: MethodStyles, n_legend_lines: int
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """An empty figure with one panel per data set (rows) and direction (columns) of `curves`.

    Args:
        curves: columns `dataset`, `direction`.
        styles: of the methods, whose names determine the width of the panels.
        n_legend_lines: space to reserve below each panel.
    """
    datasets = list(curves["dataset"].unique())
    directions = labels.in_known_order(curves["direction"], labels.DIRECTIONS)
    width, height = panel_size(styles, n_legend_lines)
    figure = style.new_figure(width * len(directions), height * len(datasets))
    grid = figure.subplots(len(datasets), len(directions), squeeze=False)
    present = set(zip(curves["dataset"], curves["direction"], strict=True))
    axes = {}
    for row, dataset in zip(grid, datasets, strict=True):
        for ax, direction in zip(row, directions, strict=True):
            if (dataset, direction) in present:
                axes[dataset, direction] = ax
            else:
                ax.remove()
    return figure, axes


def _describe_row(rows: pd.DataFrame, keys: Sequence[str]) -> str:
    """Keys of the first row: `dataset=shapes, direction=t2i`."""
    return ", ".join(f"{key}={rows.iloc[0][key]}" for key in keys)
