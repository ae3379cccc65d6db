"""Rejection plots (the paper's Fig. 2): R@1 of the remaining queries when the most uncertain ones are rejected."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from overtop import labels
from overtop.evaluation.selection import select_rows
from overtop.figures import style
from overtop.figures.checks import check_single_value
from overtop.figures.method_styles import MethodStyles, assign_styles
from overtop.figures.methods import (
    METHOD,
    PANEL,
    Method,
    MethodOrder,
    create_panels,
    draw_line,
    format_value,
    join_metrics,
    list_methods,
    order_methods,
    panel_size,
)

_SETUP = ["protocol", "positives"]
_MARKERS_PER_LINE = 6
_FROM_ZERO = 0.5
"""Below this recall the axis begins at 0."""


def rejection_numbers(curves: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        curves: one row per step, with `dataset, direction, posterior, kind, estimator, protocol, positives, n_rejected,
            fraction_rejected, recall_at_1, oracle_recall_at_1`; further columns are kept.
        metrics: one row per method (or one per binning with equal values), with `n_queries, rejection_auc, oracle_auc`.

    Returns:
        `curves` with `n_queries`, `rejection_auc` and `oracle_auc`.

    Raises:
        OvertopError: a column is missing, or a method has no row in `metrics` or several different ones.
    """
    return join_metrics(curves, metrics, [], ["n_queries", "rejection_auc", "oracle_auc"])


def plot_rejection(
    curves: pd.DataFrame,
    metrics: pd.DataFrame,
    ax: Axes | None = None,
    *,
    styles: MethodStyles | None = None,
    order: MethodOrder | None = None,
) -> Axes:
    """One panel: R@1 of the accepted queries against the share of rejected queries, a line per method.

    Grey lines are upper bounds. They differ between posteriors, which have different errors, and have the posterior's
    line style.

    Args:
        curves: curves of one dataset, direction, protocol and set of positives (see `rejection_numbers`).
        metrics: areas under these curves, shown in brackets; by default the legend is sorted by them.
        ax: where to draw; None for a new figure. The legend is below the axes.
        styles: of the methods, if several panels must agree (`assign_styles`).
        order: of the legend, if several panels must agree (`order_methods`).

    Raises:
        OvertopError: `curves` is empty or has several values where one panel can show one; `metrics` lacks a method.
    """
    numbers = rejection_numbers(curves, metrics)
    check_single_value(numbers, [*PANEL, *_SETUP], "a rejection panel")
    styles = styles or assign_styles(numbers)
    methods = list_methods(numbers, "rejection_auc", 3, styles, order)
    with style.figure_style():
        ax = ax or style.new_figure(*panel_size(styles, _count_legend_lines(numbers))).subplots()
        handles = [_draw_upper_bound(ax, rows, styles) for _, rows in numbers.groupby("posterior", sort=False)]
        for index, method in enumerate(methods):
            _draw_curve(ax, method, index / len(methods))
        handles += [method.legend_handle() for method in methods]
        _format_axes(ax, numbers)
        ax.set_title(labels.panel_title(numbers, int(numbers["n_queries"].max())), loc="left")
        style.add_legend_below(ax, handles, "Estimator, posterior [area under the curve]")
    return ax


def rejection_figure(curves: pd.DataFrame, metrics: pd.DataFrame) -> Figure:
    """The paper's Fig. 2: a panel (`plot_rejection`) for each dataset and direction.

    Args:
        curves: curves of one protocol and set of positives (see `rejection_numbers`).
        metrics: areas under these curves.

    Raises:
        OvertopError: as for `plot_rejection`.
    """
    numbers = rejection_numbers(curves, metrics)
    check_single_value(numbers, _SETUP, "a rejection figure")
    styles, order = assign_styles(numbers), order_methods(numbers, "rejection_auc")
    n_legend_lines = max(_count_legend_lines(rows) for _, rows in numbers.groupby(PANEL))
    with style.figure_style():
        figure, axes = create_panels(numbers, styles, n_legend_lines)
        for (dataset, direction), ax in axes.items():
            panel = select_rows(curves, dataset=dataset, direction=direction)
            plot_rejection(panel, metrics, ax, styles=styles, order=order)
        style.share_y_limits(list(axes.values()))
        style.add_footnote(
            figure,
            f"{labels.setup_label(numbers, _SETUP)}; upper bound: all wrong queries rejected first; "
            f"faint: under {style.MIN_RELIABLE_QUERIES} accepted queries",
        )
    return figure


def _draw_upper_bound(ax: Axes, same_posterior: pd.DataFrame, styles: MethodStyles) -> Line2D:
    """Draw the bound of a posterior; it depends on the hits alone, so all its estimators have the same one."""
    first = same_posterior.iloc[0]
    line = styles[first["posterior"], first["estimator"]]
    steps = select_rows(same_posterior, estimator=first["estimator"]).sort_values("n_rejected")
    return ax.plot(
        steps["fraction_rejected"],
        steps["oracle_recall_at_1"],
        color=style.GREY,
        linestyle=line.line_style,
        linewidth=line.width,
        label=f"Upper bound, {line.posterior} [{format_value(first['oracle_auc'], 3)}]",
    )[0]


def _draw_curve(ax: Axes, method: Method, offset: float) -> None:
    """Draw a method; `offset`, in [0, 1), staggers its markers, so that markers of different methods do not overlap."""
    steps = method.rows.sort_values("n_rejected")
    unreliable = steps["n_queries"] - steps["n_rejected"] < style.MIN_RELIABLE_QUERIES
    every = max(len(steps) // _MARKERS_PER_LINE, 1)
    markers = {"marker": method.style.marker, "markevery": (int(offset * every), every)}
    draw_line(ax, steps["fraction_rejected"], steps["recall_at_1"], unreliable, method.style, method.text, **markers)


def _format_axes(ax: Axes, numbers: pd.DataFrame) -> None:
    lowest = min(numbers["recall_at_1"].min(), numbers["oracle_recall_at_1"].min())
    lowest = 0 if lowest < _FROM_ZERO else min(int(lowest * 20) / 20, 0.9)
    ax.set(xlabel="Share of queries rejected, most uncertain first", ylabel="Recall@1 of the accepted queries")
    ax.set(xlim=(-0.012, 1), ylim=(lowest - 0.01, 1.015))
    ax.xaxis.set_major_formatter(PercentFormatter(1))


def _count_legend_lines(numbers: pd.DataFrame) -> int:
    return len(numbers.drop_duplicates(METHOD)) + numbers["posterior"].nunique() + 1
