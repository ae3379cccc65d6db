"""Calibration plots (the paper's Fig. 1): does R@1 fall as the uncertainty level rises?"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from overtop import labels as words
from overtop.figures import style
from overtop.figures.methods import METHOD, PANEL, Method, attach, only, ranked

_SETUP = ["protocol", "binning", "positives"]
_MARKER_AREA = 150.0  # square points of a bin that holds every query
_GUIDE = "Falling diagonal, to guide the eye"
_SHARES = (0.01, 0.1, 0.3)  # in the key to the marker sizes


def calibration_numbers(curves: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        curves: one row per bin, with `dataset, direction, posterior, kind, estimator, protocol, binning, positives,
            level, n_queries, recall_at_1`; further columns are kept.
        metrics: one row per method, with `neg_sr2`.

    Returns:
        `curves` with `share` (the bin's part of the method's queries) and `neg_sr2`.

    Raises:
        OvertopError: a column is missing, or a method has no row in `metrics` or several that differ.
    """
    numbers = attach(curves, metrics, ["binning"], ["neg_sr2"])
    numbers["share"] = numbers["n_queries"] / queries_of(numbers)
    return numbers


def plot_calibration(
    curves: pd.DataFrame,
    metrics: pd.DataFrame,
    ax: Axes | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    looks: style.Looks | None = None,
) -> Axes:
    """One panel: R@1 against the uncertainty level, a line per method, a marker's area its bin's share of the queries.

    Args:
        curves: bins of one dataset, direction, protocol, binning and set of positives (see `calibration_numbers`).
        metrics: -S.R2 of these methods, shown in brackets; the legend is sorted by it, best first.
        ax: where to draw, else a new figure. The legends hang below the axes.
        labels: estimators and datasets in words, where the project's own do not suit.
        looks: of the methods, when several panels must agree (`style.looks`).

    Raises:
        OvertopError: `curves` is empty or mixes what one panel cannot show; `metrics` lacks a method.
    """
    numbers = calibration_numbers(curves, metrics)
    only(numbers, [*PANEL, *_SETUP], "a calibration panel")
    looks = looks or style.looks(numbers, labels)
    methods = ranked(numbers, "neg_sr2", 2, looks)
    n_levels = int(numbers["level"].max()) + 1
    with style.settings():
        ax = ax or style.single(looks, _legend_lines(len(methods)))
        handles = [draw_bins(ax, method) for method in methods]
        if n_levels > 1 and numbers["binning"].iloc[0] == "equal_width":
            handles += ax.plot([0, n_levels - 1], [1, 0], color=style.GREY, linewidth=0.6, zorder=1, label=_GUIDE)
        dress(ax, n_levels)
        ax.set_xlabel(f"Uncertainty level, 0 = lowest ({words.label(numbers['binning'].iloc[0])})")
        ax.set_title(words.panel(numbers, int(queries_of(numbers).max()), labels), loc="left")
        hang_size_key(ax, f"of the queries; faint: under {style.FEW}")
        style.legend_below(ax, handles, "Estimator, posterior [−S·R², ideal 1]", below=0.62)
    return ax


def calibration_figure(
    curves: pd.DataFrame, metrics: pd.DataFrame, *, labels: Mapping[str, str] | None = None
) -> Figure:
    """The paper's Fig. 1: a panel (`plot_calibration`) for each dataset and direction.

    Args:
        curves: bins of one protocol, binning and set of positives (see `calibration_numbers`).
        metrics: -S.R2 of these methods.
        labels: estimators and datasets in words, where the project's own do not suit.

    Raises:
        OvertopError: as for `plot_calibration`.
    """
    numbers = calibration_numbers(curves, metrics)
    only(numbers, _SETUP, "a calibration figure")
    looks = style.looks(numbers, labels)
    most = int(numbers.drop_duplicates([*PANEL, *METHOD]).groupby(PANEL).size().max())
    with style.settings():
        figure, axes = style.panels(numbers, looks, _legend_lines(most))
        for (dataset, direction), ax in axes.items():
            panel = curves[(curves["dataset"] == dataset) & (curves["direction"] == direction)]
            plot_calibration(panel, metrics, ax, labels=labels, looks=looks)
        style.note(figure, words.setup(numbers, _SETUP))
    return figure


def queries_of(numbers: pd.DataFrame) -> pd.Series:
    """How many queries each row's method has, summed over its bins."""
    return numbers.groupby([*PANEL, *METHOD, *_SETUP])["n_queries"].transform("sum")


def draw_bins(ax: Axes, method: Method) -> Line2D:
    """A line, a marker for each bin with its area the bin's share, weak bins faint; the entry for a legend."""
    look = method.look
    bins = method.rows.sort_values("level")
    weak = bins["n_queries"] < style.FEW
    style.line(ax, bins["level"], bins["recall_at_1"], weak, look, method.text)
    for alpha, of in ((1.0, bins[~weak]), (style.FAINT, bins[weak])):
        ax.scatter(
            of["level"],
            of["recall_at_1"],
            s=_MARKER_AREA * of["share"],
            marker=look.marker,
            facecolor=look.face,
            edgecolor=look.colour,
            linewidth=0.7,
            alpha=alpha,
            zorder=3,
            clip_on=False,
        )
    return style.handle(look, method.text)


def hang_size_key(ax: Axes, text: str) -> None:
    """Hang the key to the markers' sizes under the axes; `text` follows its last percentage."""
    key = [
        Line2D(
            [],
            [],
            color=style.GREY,
            linestyle="",
            marker="o",
            markersize=(_MARKER_AREA * share) ** 0.5,
            label=f"{share:.0%}",
        )
        for share in _SHARES
    ]
    key[-1].set_label(f"{key[-1].get_label()} {text}")
    style.legend_below(ax, key, "", ncols=len(_SHARES), handlelength=1.2, columnspacing=1, handletextpad=0.5)


def dress(ax: Axes, n_levels: int) -> None:
    """Limits, ticks and the upright label of a calibration panel."""
    ax.set_ylabel("Recall@1 within the level")
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlim(-0.4, max(n_levels, 2) - 0.6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))


def _legend_lines(n_methods: int) -> int:
    return n_methods + 4  # title, diagonal, key to the sizes and a gap
