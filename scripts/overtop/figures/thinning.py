"""Query thinning: AUROC against the number of test queries, of transductive and other estimators."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter

from overtop import labels
from overtop.evaluation.learned import LEARNED
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.method_styles import ESTIMATOR_STYLES
from overtop.figures.methods import PANEL, format_value
from overtop.figures.style import BLACK, GREEN, GREY, ORANGE, PURPLE, RED
from overtop.terms import ESTIMATORS

DAGGER = "†"
"""Marks transductive estimators."""

BAND = (0.05, 0.95)
"""Quantiles of the random subsets between which the band lies."""

_COLUMNS = [*PANEL, "posterior", "estimator", "transductive", "n_queries", "draw", "auroc", "aurc"]
_KEY = [*PANEL, "posterior", "estimator", "transductive", "n_queries"]
_LABELS = {
    LEARNED: "Learned (logistic regression)",
    "csls_margin": "CSLS margin",
    "dual_softmax": "Dual softmax",
    "reciprocal_rank": "Reciprocal rank",
    "sinkhorn": "Sinkhorn",
}
_STYLES = {
    "csls_margin": (PURPLE, "s"),
    "dual_softmax": (ORANGE, "^"),
    "reciprocal_rank": (GREEN, "v"),
    "sinkhorn": (RED, "D"),
    LEARNED: (BLACK, "*"),
}


def thinning_numbers(thinning: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows: mean and spread over the random subsets of each size.

    Args:
        thinning: rows of `overtop.evaluation.thinning.thin_queries` with `dataset`, `posterior`, `direction`.

    Returns:
        One row per data set, direction, posterior, estimator and size: `n_draws`; `auroc` and `aurc`, the means, and
        `auroc_low` and `auroc_high`, the quantiles of `BAND`.

    Raises:
        OvertopError: a column is missing, or there are no rows.
    """
    check_columns(thinning, _COLUMNS, "thinning")
    groups = thinning.groupby(_KEY, sort=False)
    ends = {f"auroc_{end}": groups["auroc"].quantile(q) for end, q in zip(("low", "high"), BAND, strict=True)}
    means = groups[["auroc", "aurc"]].mean().assign(n_draws=groups["draw"].nunique(), **ends)
    return means.reset_index()


def plot_thinning(numbers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: AUROC against the number of test queries, a line and a band per transductive estimator.

    They have a dagger in the legend. The others look at one query at a time, and are flat dashed lines.

    Args:
        numbers: `thinning_numbers` of one data set and direction.
        ax: where to draw; None for a new figure. The legend is below the axes.

    Raises:
        OvertopError: there are no rows, or several directions.
    """
    check_columns(numbers, [*_KEY, "auroc", "auroc_low", "auroc_high"], "thinning")
    check_single_value(numbers, PANEL, "a thinning panel")
    names = labels.in_known_order(numbers["estimator"], [*ESTIMATORS, *_LABELS])
    with style.figure_style():
        ax = ax or style.new_figure(style.PANEL_WIDTH, _panel_height(numbers)).subplots()
        handles = [_draw_estimator(ax, numbers[numbers["estimator"] == name]) for name in names]
        sizes = sorted(numbers["n_queries"].unique())
        ax.set_xscale("log")
        ax.set_xticks(sizes)
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("Test queries")
        ax.set_ylabel("AUROC of misses")
        ax.set_title(labels.panel_title(numbers, int(sizes[-1])), loc="left")
        style.add_legend_below(ax, handles, "Estimator [AUROC with all queries]")
    return ax


def thinning_figure(numbers: pd.DataFrame) -> Figure:
    """A panel (`plot_thinning`) for each direction.

    Args:
        numbers: `thinning_numbers` of one data set.

    Raises:
        OvertopError: as for `plot_thinning`.
    """
    directions = labels.in_known_order(numbers["direction"], labels.DIRECTIONS)
    with style.figure_style():
        figure = style.new_figure(style.PANEL_WIDTH * len(directions), _panel_height(numbers))
        axes = figure.subplots(1, len(directions), squeeze=False)[0]
        for ax, direction in zip(axes, directions, strict=True):
            plot_thinning(numbers[numbers["direction"] == direction], ax)
        style.share_y_limits(axes)
        style.add_footnote(
            figure,
            f"{DAGGER} transductive: looks at the other test queries, so not comparable with the dashed lines; "
            "band: 5 % to 95 % of random subsets",
        )
    return figure


def _draw_estimator(ax: Axes, rows: pd.DataFrame) -> Line2D:
    """Draw the line and the band of an estimator; returns its legend entry."""
    name, transductive = rows.iloc[0][["estimator", "transductive"]]
    colour, marker = _STYLES.get(name) or ESTIMATOR_STYLES.get(name, (GREY, "o"))
    rows = rows.sort_values("n_queries")
    value = format_value(float(rows["auroc"].iloc[-1]), 3)
    label = _LABELS.get(name) or labels.format_name(name)
    if transductive:
        ax.fill_between(rows["n_queries"], rows["auroc_low"], rows["auroc_high"], color=colour, alpha=0.12, linewidth=0)
        line = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.1}
        ax.plot(rows["n_queries"], rows["auroc"], **line)
    else:
        line = {"color": colour, "linestyle": (0, (4, 1.5)), "linewidth": 1.1}
        ax.axhline(rows["auroc"].iloc[0], **line)
    return style.legend_handle(f"{label}{DAGGER if transductive else ''} [{value}]", **line)


def _panel_height(numbers: pd.DataFrame) -> float:
    return style.PANEL_HEIGHT + style.LEGEND_LINE_HEIGHT * (numbers["estimator"].nunique() + 1)
