"""Calibration plots (the paper's Fig. 1): does R@1 fall as the uncertainty level rises?"""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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
    join_metrics,
    list_methods,
    order_methods,
    panel_size,
)

_SETUP = ["protocol", "binning", "positives"]
_MARKER_AREA = 150.0  # square points of a bin that contains all queries
_SIZE_KEY_SHARES = (0.01, 0.1, 0.3)


def calibration_numbers(curves: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        curves: one row per bin, with `dataset, direction, posterior, kind, estimator, protocol, binning, positives,
            level, n_queries, recall_at_1`; further columns are kept.
        metrics: one row per method, with `neg_sr2`.

    Returns:
        `curves` with `share` (the bin's fraction of the method's queries) and `neg_sr2`.

    Raises:
        OvertopError: a column is missing, or a method has no row in `metrics` or several different ones.
    """
    numbers = join_metrics(curves, metrics, ["binning"], ["neg_sr2"])
    numbers["share"] = numbers["n_queries"] / count_queries(numbers)
    return numbers


def plot_calibration(
    curves: pd.DataFrame,
    metrics: pd.DataFrame,
    ax: Axes | None = None,
    *,
    styles: MethodStyles | None = None,
    order: MethodOrder | None = None,
) -> Axes:
    """One panel: R@1 against the uncertainty level, a line per method; marker areas show the size of the bins.

    Args:
        curves: bins of one dataset, direction, protocol, binning and set of positives (see `calibration_numbers`).
        metrics: -S R2 of these methods, shown in brackets; the legend is sorted by it, best first.
        ax: where to draw; None for a new figure. The legends are below the axes.
        styles: of the methods, if several panels must agree (`assign_styles`).
        order: of the legend, if several panels must agree (`order_methods`).

    Raises:
        OvertopError: `curves` is empty or has several values where one panel can show one; `metrics` lacks a method.
    """
    numbers = calibration_numbers(curves, metrics)
    check_single_value(numbers, [*PANEL, *_SETUP], "a calibration panel")
    styles = styles or assign_styles(numbers)
    methods = list_methods(numbers, "neg_sr2", 2, styles, order)
    n_levels, binning = int(numbers["level"].max()) + 1, numbers["binning"].iloc[0]
    with style.figure_style():
        ax = ax or style.new_figure(*panel_size(styles, _count_legend_lines(len(methods)))).subplots()
        for method in methods:
            draw_bins(ax, method)
        handles = [method.legend_handle() for method in methods]
        if n_levels > 1 and binning == "equal_width":
            diagonal = {"color": style.GREY, "linewidth": 0.6, "zorder": 1}
            handles += ax.plot([0, n_levels - 1], [1, 0], label="Falling diagonal, to guide the eye", **diagonal)
        format_axes(ax, n_levels, f"Uncertainty level, 0 = lowest ({labels.format_name(binning)})")
        ax.set_title(labels.panel_title(numbers, int(count_queries(numbers).max())), loc="left")
        add_size_key(ax, f"of the queries; faint: under {style.MIN_RELIABLE_QUERIES}")
        style.add_legend_below(ax, handles, "Estimator, posterior [−S·R², ideal 1]", offset=0.62)
    return ax


def calibration_figure(curves: pd.DataFrame, metrics: pd.DataFrame) -> Figure:
    """The paper's Fig. 1: a panel (`plot_calibration`) for each dataset and direction.

    Args:
        curves: bins of one protocol, binning and set of positives (see `calibration_numbers`).
        metrics: -S R2 of these methods.

    Raises:
        OvertopError: as for `plot_calibration`.
    """
    numbers = calibration_numbers(curves, metrics)
    check_single_value(numbers, _SETUP, "a calibration figure")
    styles, order = assign_styles(numbers), order_methods(numbers, "neg_sr2")
    most_methods = int(numbers.drop_duplicates([*PANEL, *METHOD]).groupby(PANEL).size().max())
    with style.figure_style():
        figure, axes = create_panels(numbers, styles, _count_legend_lines(most_methods))
        for (dataset, direction), ax in axes.items():
            panel = select_rows(curves, dataset=dataset, direction=direction)
            plot_calibration(panel, metrics, ax, styles=styles, order=order)
        style.add_footnote(figure, labels.setup_label(numbers, _SETUP))
    return figure


def count_queries(numbers: pd.DataFrame) -> pd.Series:
    """For each row the number of queries of its method, summed over its bins."""
    return numbers.groupby([*PANEL, *METHOD, *_SETUP])["n_queries"].transform("sum")


def draw_bins(ax: Axes, method: Method) -> None:
    """Draw a line with a marker for each bin; bins with few queries are faint."""
    bins = method.rows.sort_values("level")
    unreliable = bins["n_queries"] < style.MIN_RELIABLE_QUERIES
    draw_line(ax, bins["level"], bins["recall_at_1"], unreliable, method.style, method.text)
    for rows, alpha in ((bins[~unreliable], 1.0), (bins[unreliable], style.FAINT_ALPHA)):
        sns.scatterplot(
            rows,
            x="level",
            y="recall_at_1",
            size="share",
            sizes=(0, _MARKER_AREA),
            size_norm=(0, 1),
            marker=method.style.marker,
            color=method.style.fill,
            edgecolor=method.style.colour,
            linewidth=0.7,
            alpha=alpha,
            zorder=3,
            clip_on=False,
            legend=False,
            ax=ax,
        )


def add_size_key(ax: Axes, text: str) -> None:
    """Add a key to the marker sizes below the axes; `text` follows its last percentage."""
    texts = [f"{share:.0%}" for share in _SIZE_KEY_SHARES]
    texts[-1] += f" {text}"
    handles = [
        style.legend_handle(label, color=style.GREY, linestyle="", marker="o", markersize=(_MARKER_AREA * share) ** 0.5)
        for label, share in zip(texts, _SIZE_KEY_SHARES, strict=True)
    ]
    style.add_legend_below(ax, handles, "", ncols=len(handles), handlelength=1.2, columnspacing=1, handletextpad=0.5)


def format_axes(ax: Axes, n_levels: int, x_label: str) -> None:
    """Set the limits, ticks and labels of a calibration panel."""
    ax.set(xlabel=x_label, ylabel="Recall@1 within the level")
    ax.set(xlim=(-0.4, max(n_levels, 2) - 0.6), ylim=(-0.03, 1.03))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))


def _count_legend_lines(n_methods: int) -> int:
    return n_methods + 4  # title, diagonal, key to the sizes and a gap
