"""Rejection plots (the paper's Fig. 2): R@1 of what is left when the most uncertain queries are refused."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from overtop import labels as words
from overtop.figures import style
from overtop.figures.methods import METHOD, PANEL, Method, attach, bracket, only, ranked

_SETUP = ["protocol", "positives"]


def rejection_numbers(curves: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        curves: one row per step, with `dataset, direction, posterior, kind, estimator, protocol, positives, n_rejected,
            fraction_rejected, recall_at_1, oracle_recall_at_1`; further columns are kept.
        metrics: one row per method (or one per binning, alike in what is read here), with `n_queries, rejection_auc,
            oracle_auc`.

    Returns:
        `curves` with `n_queries`, `rejection_auc` and `oracle_auc`.

    Raises:
        OvertopError: a column is missing, or a method has no row in `metrics` or several that differ.
    """
    return attach(curves, metrics, [], ["n_queries", "rejection_auc", "oracle_auc"])


def plot_rejection(
    curves: pd.DataFrame,
    metrics: pd.DataFrame,
    ax: Axes | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    looks: style.Looks | None = None,
) -> Axes:
    """One panel: R@1 of the queries kept against the share of queries rejected, a line per method, the bound in grey.

    The bound differs between posteriors, for each errs on queries of its own; it takes the posterior's line style.

    Args:
        curves: curves of one dataset, direction, protocol and set of positives (see `rejection_numbers`).
        metrics: areas under these curves, shown in brackets; the legend is sorted by them, largest first.
        ax: where to draw, else a new figure. The legend hangs below the axes.
        labels: estimators and datasets in words, where the project's own do not suit.
        looks: of the methods, when several panels must agree (`style.looks`).

    Raises:
        OvertopError: `curves` is empty or mixes what one panel cannot show; `metrics` lacks a method.
    """
    numbers = rejection_numbers(curves, metrics)
    only(numbers, [*PANEL, *_SETUP], "a rejection panel")
    looks = looks or style.looks(numbers, labels)
    methods = ranked(numbers, "rejection_auc", 3, looks)
    with style.settings():
        ax = ax or style.single(looks, _legend_lines(numbers))
        handles = [_draw_bound(ax, rows, looks) for _, rows in numbers.groupby("posterior", sort=False)]
        handles += [_draw(ax, method, nth / len(methods)) for nth, method in enumerate(methods)]
        _dress(ax, numbers)
        ax.set_title(words.panel(numbers, int(numbers["n_queries"].max()), labels), loc="left")
        style.legend_below(ax, handles, "Estimator, posterior [area under the curve]")
    return ax


def rejection_figure(curves: pd.DataFrame, metrics: pd.DataFrame, *, labels: Mapping[str, str] | None = None) -> Figure:
    """The paper's Fig. 2: a panel (`plot_rejection`) for each dataset and direction.

    Args:
        curves: curves of one protocol and set of positives (see `rejection_numbers`).
        metrics: areas under these curves.
        labels: estimators and datasets in words, where the project's own do not suit.

    Raises:
        OvertopError: as for `plot_rejection`.
    """
    numbers = rejection_numbers(curves, metrics)
    only(numbers, _SETUP, "a rejection figure")
    looks = style.looks(numbers, labels)
    most = max(_legend_lines(rows) for _, rows in numbers.groupby(PANEL))
    with style.settings():
        figure, axes = style.panels(numbers, looks, most)
        for (dataset, direction), ax in axes.items():
            panel = curves[(curves["dataset"] == dataset) & (curves["direction"] == direction)]
            plot_rejection(panel, metrics, ax, labels=labels, looks=looks)
        setup = words.setup(numbers, _SETUP)
        style.note(figure, f"{setup}; upper bound: misses rejected first; faint: under {style.FEW} queries kept")
    return figure


def _draw_bound(ax: Axes, of_posterior: pd.DataFrame, looks: style.Looks) -> Line2D:
    """The bound depends on the hits alone, so one estimator's curve has that of all estimators of the posterior."""
    first = of_posterior.iloc[0]
    look = looks[first["posterior"], first["estimator"]]
    steps = of_posterior[of_posterior["estimator"] == first["estimator"]].sort_values("n_rejected")
    text = f"Upper bound, {look.posterior} [{bracket(first['oracle_auc'], 3)}]"
    x, y = steps["fraction_rejected"], steps["oracle_recall_at_1"]
    return ax.plot(x, y, color=style.GREY, linestyle=look.line, linewidth=look.width, label=text)[0]


def _draw(ax: Axes, method: Method, offset: float) -> Line2D:
    """`offset`, in [0, 1), staggers the markers, so that those of different methods stand side by side."""
    steps = method.rows.sort_values("n_rejected")
    weak = steps["n_queries"] - steps["n_rejected"] < style.FEW
    every = max(len(steps) // 6, 1)
    marks = {"marker": method.look.marker, "markevery": (int(offset * every), every)}
    style.line(ax, steps["fraction_rejected"], steps["recall_at_1"], weak, method.look, method.text, **marks)
    return style.handle(method.look, method.text)


def _legend_lines(numbers: pd.DataFrame) -> int:
    return len(numbers.drop_duplicates(METHOD)) + numbers["posterior"].nunique() + 1


def _dress(ax: Axes, numbers: pd.DataFrame) -> None:
    lowest = min(numbers["recall_at_1"].min(), numbers["oracle_recall_at_1"].min())
    ax.set_xlabel("Share of queries rejected, most uncertain first")
    ax.set_ylabel("Recall@1 of the queries kept")
    ax.set_ylim(min(int(lowest * 20) / 20, 0.9) - 0.01, 1.015)
    ax.set_xlim(-0.012, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
