"""The cost and benefit of a cascade: AURC against samples per query, and the samples that stopping rules use."""

from collections.abc import Iterable
from itertools import cycle
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from overtop import labels
from overtop.evaluation.cascade import FULL, RANDOM
from overtop.evaluation.selection import select_rows
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.methods import format_value
from overtop.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

BAND_ALPHA = 0.2
"""Opacity of an interval."""

_CURVE_COLUMNS = [
    "direction", "rule", "fraction", "n_queries", "samples_per_query", "aurc", "change", "change_low", "change_high",
]  # fmt: skip
_SPENT_COLUMNS = ["direction", "rule", "samples", "share_settled"]
_RULE_LABELS = {FULL: "All samples", RANDOM: "All samples, random queries", "certain": "Until certain"}
_RULE_STYLES: dict[str, tuple[str, str, Any]] = {  # colour, marker, dashes
    FULL: (BLACK, "o", ""),
    "certain": (BLUE, "s", (12, 1.5)),
    RANDOM: (GREY, "X", (1.1, 1.1)),
}
_STOPPING_STYLES: list[tuple[str, str, Any]] = [  # from the strictest stopping rule
    (RED, "^", (4.5, 1.6)),
    (GREEN, "v", (6, 1.5, 1, 1.5)),
    (PURPLE, "D", (3, 3)),
    (ORANGE, "<", (1, 2.2)),
    (SKY, ">", (1, 1, 1, 4)),
]


def plot_cascade(curve: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: the change of AURC against the mean samples per query, a line per rule; random escalation in grey.

    The change is relative to the cheap estimator alone, because intervals of AURC itself reflect the difficulty of the
    queries and hide differences between cascades. The band is the interval of the rule that takes all samples; the bars
    of stopping rules are their intervals with all queries escalated.

    Args:
        curve: cascades of one direction: `overtop.evaluation.cascade.CascadeResult.curve` with a column `direction`.
        ax: where to draw; None for a new figure. The legend is below the axes.

    Raises:
        OvertopError: `curve` is empty, lacks a column or has several directions.
    """
    check_columns(curve, _CURVE_COLUMNS, "cascade curve")
    check_single_value(curve, ["direction"], "a cascade panel")
    styles = _line_styles(curve["rule"])
    final = curve.loc[curve.groupby("rule")["fraction"].idxmax()].set_index("rule")
    cheap = curve[curve["fraction"] == 0].iloc[0]
    texts = {rule: f"{_rule_label(rule)} [{format_value(n, 1)}]" for rule, n in final["samples_per_query"].items()}
    with style.figure_style():
        ax = ax or _new_figure(1, 1, len(texts)).subplots()
        sns.lineplot(curve, x="samples_per_query", y="change", estimator=None, markersize=4.5, ax=ax, **styles)
        for index, line in enumerate(ax.lines):
            line.set_markevery((index % 4 + 1, 4))  # staggered, so that markers of different rules do not overlap
        full = select_rows(curve, rule=FULL).sort_values("fraction")
        band = {"color": GREY, "alpha": BAND_ALPHA, "linewidth": 0}
        ax.fill_between(full["samples_per_query"], full["change_low"], full["change_high"], **band)
        for rule, row in final.drop(index=[FULL, RANDOM], errors="ignore").iterrows():
            bar = {"color": styles["palette"][rule], "marker": "_", "markersize": 3, "linewidth": 0.6, "alpha": 0.6}
            ax.plot([row["samples_per_query"]] * 2, [row["change_low"], row["change_high"]], **bar)
        ax.axhline(0, color=GREY, linewidth=0.6, zorder=1)
        ax.set_xlim(left=0)
        ax.set_xlabel("Samples per query, from none to all escalated")
        ax.set_ylabel(f"Change of AURC from {cheap['aurc']:.3f} (lower is better)")
        n_queries = labels.format_count(int(cheap["n_queries"]), "query")
        ax.set_title(f"{_direction_label(curve)} ({n_queries})", loc="left")
        handles = style.take_legend_handles(ax, texts)
        style.add_legend_below(ax, handles, "Samples of escalated queries [per query, all escalated]")
    return ax


def plot_spent(spent: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: the share of queries that a stopping rule has settled, against the samples drawn.

    Args:
        spent: distributions of one direction: `overtop.evaluation.cascade.CascadeResult.spent` with a column
            `direction`.
        ax: where to draw; None for a new figure. The legend is below the axes.

    Raises:
        OvertopError: `spent` is empty, lacks a column or has several directions.
    """
    check_columns(spent, _SPENT_COLUMNS, "distribution of samples")
    check_single_value(spent, ["direction"], "a panel of samples")
    styles = _line_styles(spent["rule"]) | {"markers": False}
    means = (1 - spent["share_settled"]).groupby(spent["rule"]).sum()  # P(more than n samples), summed over n
    texts = {rule: f"{_rule_label(str(rule))} [{format_value(mean, 1)}]" for rule, mean in means.items()}
    with style.figure_style():
        ax = ax or _new_figure(1, 1, len(texts)).subplots()
        sns.lineplot(spent, x="samples", y="share_settled", estimator=None, drawstyle="steps-post", ax=ax, **styles)
        ax.set(xlabel="Samples drawn", ylabel="Queries settled")
        ax.set(xlim=(0, spent["samples"].max()), ylim=(0, 1.015))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set_title(_direction_label(spent), loc="left")
        style.add_legend_below(ax, style.take_legend_handles(ax, texts), "Stopping rule [mean samples]")
    return ax


def cascade_figure(curve: pd.DataFrame, spent: pd.DataFrame) -> Figure:
    """A row for each direction: `plot_cascade`, and `plot_spent` if there are stopping rules.

    Args:
        curve: `overtop.evaluation.cascade.CascadeResult.curve` of some directions, with a column `direction`.
        spent: their `overtop.evaluation.cascade.CascadeResult.spent`; may be empty.

    Raises:
        OvertopError: as for the panels.
    """
    check_columns(curve, _CURVE_COLUMNS, "cascade curve")
    directions = labels.in_known_order(curve["direction"], labels.DIRECTIONS)
    columns = 1 if spent.empty else 2
    with style.figure_style():
        figure = _new_figure(len(directions), columns, curve["rule"].nunique())
        grid = figure.subplots(len(directions), columns, squeeze=False)
        for row, direction in zip(grid, directions, strict=True):
            plot_cascade(select_rows(curve, direction=direction), row[0])
            if columns == 2:
                plot_spent(select_rows(spent, direction=direction), row[1])
    return figure


def _line_styles(rules: Iterable[str]) -> dict[str, Any]:
    """Keyword arguments of `sns.lineplot`: the rules in legend order, and the same style for a rule in every panel."""
    order = labels.in_known_order(rules, [FULL, "certain"])
    order.sort(key=lambda rule: rule == RANDOM)  # last
    stopping = (rule for rule in order if rule not in _RULE_STYLES)
    styles = _RULE_STYLES | dict(zip(stopping, cycle(_STOPPING_STYLES), strict=False))
    palette, markers, dashes = ({rule: styles[rule][i] for rule in order} for i in range(3))
    return {
        "hue": "rule",
        "style": "rule",
        "hue_order": order,
        "style_order": order,
        "palette": palette,
        "markers": markers,
        "dashes": dashes,
    }


def _rule_label(rule: str) -> str:
    """Display name of a rule: `Until settled, error 0.05`."""
    if rule.startswith("d="):
        return f"Until settled, error {rule.removeprefix('d=')}"
    return _RULE_LABELS[rule]


def _direction_label(rows: pd.DataFrame) -> str:
    """Direction of the first row, with a capital letter."""
    direction = labels.format_name(rows.iloc[0]["direction"])
    return labels.capitalise(direction)


def _new_figure(rows: int, columns: int, n_rules: int) -> Figure:
    height = style.PANEL_HEIGHT + style.LEGEND_LINE_HEIGHT * (n_rules + 1)
    return style.new_figure(style.PANEL_WIDTH * columns, height * rows)
