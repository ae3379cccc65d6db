"""What a cascade costs and what it brings: AURC against samples per query, and the samples that stopping rules use."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from overtop import labels as words
from overtop.evaluation.cascade import FULL, RANDOM
from overtop.figures import style
from overtop.figures.methods import bracket, only, require

BAND = 0.2
"""Opacity of an interval."""

_CURVE = [
    "direction",
    "rule",
    "fraction",
    "n_queries",
    "samples_per_query",
    "aurc",
    "change",
    "change_low",
    "change_high",
]
_SPENT = ["direction", "rule", "samples", "share_settled"]
_PANEL_HEIGHT, _LEGEND_LINE = 2.9, 0.128  # inches
_OWN = {
    FULL: ("#000000", "o", "-"),
    RANDOM: (style.GREY, "", (0, (1.1, 1.1))),
    "certain": ("#0072B2", "s", (0, (12, 1.5))),
}
_OTHERS: list[tuple[str, str, Any]] = [  # stopping rules, from the strictest
    ("#D55E00", "^", (0, (4.5, 1.6))),
    ("#009E73", "v", (0, (6, 1.5, 1, 1.5))),
    ("#CC79A7", "D", (0, (3, 3))),
    ("#E69F00", "<", (0, (1, 2.2))),
    ("#56B4E9", ">", (0, (1, 1, 1, 4))),
]


def plot_cascade(curve: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: how AURC changes with the mean samples per query, a line per rule; escalation by chance in grey.

    The change is from the cheap estimator alone: intervals of AURC itself come from the queries' difficulty, and hide
    what sets cascades apart. The band is the interval of the rule that takes all samples; stopping rules show theirs at
    the end, where all queries are escalated.

    Args:
        curve: cascades of one direction: `overtop.evaluation.cascade.Study.curve` with a column `direction`.
        ax: where to draw, else a new figure. The legend hangs below the axes.

    Raises:
        OvertopError: `curve` is empty, lacks a column or mixes directions.
    """
    require(curve, _CURVE, "cascade curve")
    only(curve, ["direction"], "a cascade panel")
    looks = _looks(curve["rule"])
    with style.settings():
        ax = ax or _empty(1, 1, len(looks)).subplots()
        handles = [_draw(ax, curve[curve["rule"] == rule], looks[rule], nth) for nth, rule in enumerate(looks)]
        ax.axhline(0, color=style.GREY, linewidth=0.6, zorder=1)
        ax.set_xlim(left=0)
        ax.set_xlabel("Samples per query, from none to all escalated")
        cheap = curve[curve["fraction"] == 0].iloc[0]
        ax.set_ylabel(f"Change of AURC from {cheap['aurc']:.3f} (lower is better)")
        queries = words.count(int(cheap["n_queries"]), "query", "queries")
        ax.set_title(f"{_title(curve)} ({queries})", loc="left")
        style.legend_below(ax, handles, "Samples of escalated queries [per query, all escalated]")
    return ax


def plot_spent(spent: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: the share of queries that a stopping rule has settled, against the samples drawn.

    Args:
        spent: distributions of one direction: `overtop.evaluation.cascade.Study.spent` with a column `direction`.
        ax: where to draw, else a new figure. The legend hangs below the axes.

    Raises:
        OvertopError: `spent` is empty, lacks a column or mixes directions.
    """
    require(spent, _SPENT, "distribution of samples")
    only(spent, ["direction"], "a panel of samples")
    looks = _looks(spent["rule"])
    with style.settings():
        ax = ax or _empty(1, 1, len(looks)).subplots()
        handles = []
        for rule, look in looks.items():
            steps = spent[spent["rule"] == rule].sort_values("samples")
            mean = (1 - steps["share_settled"]).sum()  # over 0, 1, ... of those that need more
            ax.step(steps["samples"], steps["share_settled"], where="post", **look | {"marker": ""})
            handles.append(_handle(look | {"marker": ""}, f"{_words(rule)} [{bracket(mean, 1)}]"))
        ax.set_xlim(0, spent["samples"].max())
        ax.set_ylim(0, 1.015)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xlabel("Samples drawn")
        ax.set_ylabel("Queries settled")
        ax.set_title(_title(spent), loc="left")
        style.legend_below(ax, handles, "Stopping rule [mean samples]")
    return ax


def cascade_figure(curve: pd.DataFrame, spent: pd.DataFrame, note: str = "") -> Figure:
    """A row for each direction: `plot_cascade`, and `plot_spent` if there are stopping rules.

    Args:
        curve: `overtop.evaluation.cascade.Study.curve` of some directions, with a column `direction`.
        spent: their `overtop.evaluation.cascade.Study.spent`; may be empty.
        note: small print at the foot.

    Raises:
        OvertopError: as for the panels.
    """
    require(curve, _CURVE, "cascade curve")
    directions = words.ordered(curve["direction"], words.DIRECTIONS)
    columns = 1 if spent.empty else 2
    with style.settings():
        figure = _empty(len(directions), columns, curve["rule"].nunique())
        grid = figure.subplots(len(directions), columns, squeeze=False)
        for row, direction in zip(grid, directions, strict=True):
            plot_cascade(curve[curve["direction"] == direction], row[0])
            if columns == 2:
                plot_spent(spent[spent["direction"] == direction], row[1])
        style.note(figure, note)
    return figure


def _draw(ax: Axes, steps: pd.DataFrame, look: dict[str, Any], nth: int) -> Line2D:
    """`nth` staggers the markers, so that those of different rules stand side by side."""
    steps = steps.sort_values("fraction")
    x, rule, last = steps["samples_per_query"], steps["rule"].iloc[0], steps.iloc[-1]
    text = f"{_words(rule)} [{bracket(x.iloc[-1], 1)}]"
    ax.plot(x, steps["change"], label=text, markevery=(nth % 4 + 1, 4), **look)
    if rule == FULL:
        ax.fill_between(x, steps["change_low"], steps["change_high"], color=style.GREY, alpha=BAND, linewidth=0)
    elif rule != RANDOM:
        ends = [last["change_low"], last["change_high"]]
        ax.plot([x.iloc[-1]] * 2, ends, color=look["color"], linewidth=0.6, marker="_", markersize=3, alpha=0.6)
    return _handle(look, text)


def _handle(look: dict[str, Any], text: str) -> Line2D:
    return Line2D([], [], label=text, **look)


def _looks(rules: Iterable[str]) -> dict[str, dict[str, Any]]:
    """How each rule is drawn, in the order of the legend: all samples, the stopping rules as they come, chance."""
    ordered = words.ordered(rules, [FULL, "certain"])
    stopping = [rule for rule in ordered if rule not in _OWN]
    looks = _OWN | {rule: _OTHERS[nth % len(_OTHERS)] for nth, rule in enumerate(stopping)}
    last_chance = sorted(ordered, key=lambda rule: rule == RANDOM)
    return {rule: _artist(*looks[rule]) for rule in last_chance}


def _artist(colour: str, marker: str, line: Any) -> dict[str, Any]:
    face = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 0.7, "markersize": 3.5}
    return {"color": colour, "linestyle": line, "marker": marker, **face}


def _words(rule: str) -> str:
    """A rule in words: `until settled, error 0.05`."""
    if rule.startswith("d="):
        return f"Until settled, error {rule.removeprefix('d=')}"
    return {FULL: "All samples", RANDOM: "All samples, chosen by chance", "certain": "Until certain"}[rule]


def _title(rows: pd.DataFrame) -> str:
    direction = words.label(rows.iloc[0]["direction"])
    return direction[:1].upper() + direction[1:]


def _empty(rows: int, columns: int, n_rules: int) -> Figure:
    size = (style.PANEL_WIDTH * columns, (_PANEL_HEIGHT + _LEGEND_LINE * (n_rules + 1)) * rows)
    return Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.07, hspace=0.04))
