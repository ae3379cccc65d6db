"""Rejection plots (the paper's Fig. 2): R@1 of what is left when the most uncertain queries are refused."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from overtop.figures import style, words
from overtop.figures.methods import METHOD, PANEL, attach, bracket, only, ranked

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

    The bound differs between posteriors, because each ranks, and so errs, in its own way; it takes the posterior's line.

    Args:
        curves: curves of one dataset, direction, protocol and set of positives (see `rejection_numbers`).
        metrics: areas under these curves, shown in brackets; the legend is sorted by them, largest first.
        ax: where to draw, else a new figure. The legend hangs below the axes.
        labels: names in words, of estimators, posteriors and datasets.
        looks: of the methods, when several panels must agree (`style.looks`).

    Raises:
        OvertopError: `curves` is empty or mixes what one panel cannot show; `metrics` lacks a method.
    """
    numbers = rejection_numbers(curves, metrics)
    only(numbers, [*PANEL, *_SETUP], "a rejection panel")
    looks = looks or style.looks(numbers)
    methods = ranked(numbers, "rejection_auc", 3, labels)
    with style.settings():
        ax = ax or style.single(_legend_lines(numbers))
        handles = []
        for posterior, rows in numbers.groupby("posterior", sort=False):
            bound = rows[rows["estimator"] == rows["estimator"].iloc[0]].sort_values("n_rejected")
            line = looks[str(posterior), str(bound["estimator"].iloc[0])].line
            text = f"Upper bound ({words.label(str(posterior), labels)}) [{bracket(float(bound['oracle_auc'].iloc[0]), 3)}]"
            handles += ax.plot(
                bound["fraction_rejected"], bound["oracle_recall_at_1"], color=style.GREY, linestyle=line, label=text
            )
        for nth, method in enumerate(methods):
            look = looks[method.posterior, method.estimator]
            steps = method.rows.sort_values("n_rejected")
            weak = steps["n_queries"] - steps["n_rejected"] < style.FEW
            every = max(len(steps) // 6, 1)
            marks = {"marker": look.marker, "markevery": (nth * every // len(methods), every)}  # side by side, not stacked
            style.line(ax, steps["fraction_rejected"], steps["recall_at_1"], weak, look, method.text, **marks)
            handles.append(style.handle(look, method.text))
        _dress(ax, numbers)
        ax.set_title(words.panel(numbers, int(numbers["n_queries"].max()), labels), loc="left")
        style.legend_below(ax, handles, "Estimator (posterior) [area under the curve]")
    return ax


def rejection_figure(
    curves: pd.DataFrame, metrics: pd.DataFrame, *, labels: Mapping[str, str] | None = None
) -> Figure:
    """The paper's Fig. 2: a panel (`plot_rejection`) for each dataset and direction.

    Args:
        curves: curves of one protocol and set of positives (see `rejection_numbers`).
        metrics: areas under these curves.
        labels: names in words, of estimators, posteriors and datasets.

    Raises:
        OvertopError: as for `plot_rejection`.
    """
    numbers = rejection_numbers(curves, metrics)
    only(numbers, _SETUP, "a rejection figure")
    looks = style.looks(numbers)
    most = max(_legend_lines(rows) for _, rows in numbers.groupby(PANEL))
    with style.settings():
        figure, axes = style.panels(numbers, most)
        for (dataset, direction), ax in axes.items():
            panel = curves[(curves["dataset"] == dataset) & (curves["direction"] == direction)]
            plot_rejection(panel, metrics, ax, labels=labels, looks=looks)
        bottom = min(ax.get_ylim()[0] for ax in axes.values())
        for ax in axes.values():
            ax.set_ylim(bottom=bottom)  # panels that stand side by side are compared
        style.note(figure, f"{words.setup(numbers, _SETUP)}; upper bound: misses rejected first; faint: under {style.FEW} queries kept")
    return figure


def _legend_lines(numbers: pd.DataFrame) -> int:
    return len(numbers.drop_duplicates(METHOD)) + numbers["posterior"].nunique() + 1


def _dress(ax: Axes, numbers: pd.DataFrame) -> None:
    lowest = min(numbers["recall_at_1"].min(), numbers["oracle_recall_at_1"].min())
    ax.set_xlabel("Share of queries rejected, most uncertain first")
    ax.set_ylabel("Recall@1 of the queries kept")
    ax.set_ylim(min(int(lowest * 10) / 10, 0.9), 1.01)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
