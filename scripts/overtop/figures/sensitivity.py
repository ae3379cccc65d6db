"""Sensitivity plots (the paper's Fig. 3 and 4): what the rate and the number of passes of MC dropout change."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from overtop import labels as words
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.calibration import calibration_numbers, draw_bins, dress, hang_size_key, queries_of
from overtop.figures.methods import Method, attach, bracket, only, require

HELD = {"rate": "passes", "passes": "rate"}
"""What a row of panels varies, in the order of the rows, and what it holds."""

MEASURES = {"neg_sr2": "−S·R² (ideal 1)", "aurc": "AURC (ideal 0)"}
"""What is plotted against what varies, with its label."""

_SETTINGS = ["varied", "posterior", "rate", "passes"]
_SETUP = ["estimator", "protocol", "binning", "positives"]
_VALUES = [measure + end for measure in MEASURES for end in ("", "_low", "_high")]
_AXIS = {"rate": "Dropout rate", "passes": "Passes"}
_RAMPS = {"rate": ("inferno", 0.0, 0.76), "passes": ("viridis", 0.0, 0.76)}  # up to where they still show on white
_MARKERS = "os^Dv<>Ph"
_DIRECTIONS = {"t2i": ("#000000", "o", "#000000", "-"), "i2t": ("#606060", "s", "#ffffff", (0, (3, 1.5)))}
_APART = 0.07  # of the way between two settings: from a setting's place to the marker of a direction
_NOTE = (
    "AURC: area under the risk-coverage curve. Bars: intervals of one setting; all settings see the same queries, so "
    "overlap is no proof of equality"
)
# Inches: three panels fill the width of a page; what stands left and right of a title.
_PANEL_WIDTH, _PANEL_HEIGHT, _LEGEND_LINE, _TITLE_MARGIN = 2.35, 2.6, 0.128, 0.6


def settings_of(rates: Sequence[str], passes: Sequence[str], values: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """What each row of panels varies.

    Args:
        rates: posteriors that differ in their rate alone; may be empty.
        passes: posteriors that differ in their number of passes alone; may be empty.
        values: `rate` and `passes` of each posterior.

    Returns:
        Columns `varied` (`rate` or `passes`), `posterior`, `rate`, `passes`; a row for each line, by what varies.

    Raises:
        OvertopError: a posterior has no values, or the posteriors of a row differ in what it holds or agree in what it
            varies.
    """
    rows = [
        (varied, name, *_values_of(name, values))
        for varied, names in (("rate", rates), ("passes", passes))
        for name in names
    ]
    settings = pd.DataFrame(rows, columns=_SETTINGS).astype({"rate": float, "passes": int})
    for varied, held in HELD.items():
        of_row = settings[settings["varied"] == varied]
        only(of_row, [held], f"a row of panels that varies the {varied}")
        twice = of_row[of_row.duplicated(varied, keep=False)]
        if len(twice):
            said, names = _said(varied, twice[varied].iloc[0]), ", ".join(twice["posterior"])
            raise OvertopError(f"{said}: a row of panels shows one posterior, not {names}; leave the others out")
    place = settings["varied"].map(list(HELD).index)
    return settings.assign(place=place).sort_values(["place", "rate", "passes"], ignore_index=True)[_SETTINGS]


def sensitivity_numbers(curves: pd.DataFrame, metrics: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        curves: calibration bins of one estimator on one data set, as for `calibration_numbers`.
        metrics: one row per posterior and direction, with `neg_sr2`, `aurc` and their intervals (`_low`, `_high`).
        settings: of `settings_of`.

    Returns:
        The bins with `varied`, `rate`, `passes`, `share` (the bin's part of its queries), `neg_sr2`, `aurc` and their
        intervals. A posterior that stands in both rows of panels comes twice.

    Raises:
        OvertopError: `settings` is empty, a column is missing, a posterior of `settings` was not evaluated or has rows
            that differ, or there are several data sets, estimators, protocols, binnings or sets of positives.
    """
    require(settings, _SETTINGS, "settings")
    numbers = attach(calibration_numbers(curves, metrics), metrics, ["binning"], _VALUES)
    only(numbers, ["dataset", *_SETUP], "a sensitivity figure")
    lost = sorted(set(settings["posterior"]) - set(numbers["posterior"]))
    if lost:
        raise OvertopError(f"curves: no rows of {', '.join(lost)}; evaluate it, or leave it out of the figure")
    return settings.merge(numbers, on="posterior", sort=False)


def plot_sensitivity(
    curves: pd.DataFrame,
    metrics: pd.DataFrame,
    settings: pd.DataFrame,
    ax: Axes | None = None,
    *,
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """One panel: R@1 against the uncertainty level, a line per setting, a marker's area its bin's share of the queries.

    The legend goes by what varies, for then it is the key to the colours, and a trend shows as an order; -S.R2 in
    brackets and its interval tell which settings differ.

    Args:
        curves: bins of one direction (see `sensitivity_numbers`).
        metrics: -S.R2 and AURC of these posteriors.
        settings: those of `settings_of` that vary the same.
        ax: where to draw, else a new figure. The legends hang below the axes.
        labels: data sets in words, where the project's own do not suit.

    Raises:
        OvertopError: as for `sensitivity_numbers`, or if several directions or both rows' settings are given.
    """
    numbers = sensitivity_numbers(curves, metrics, settings)
    only(numbers, ["direction", "varied"], "a sensitivity panel")
    varied = numbers["varied"].iloc[0]
    methods = _methods(numbers, varied)
    with style.settings():
        where = words.where(numbers, labels)
        ax = ax or _empty(1, 1, len(methods), [where]).subplots()
        handles = [draw_bins(ax, method) for method in methods]
        dress(ax, int(numbers["level"].max()) + 1)
        ax.set_xlabel("Uncertainty level, 0 = lowest")
        queries = words.count(int(queries_of(numbers).max()), "query", "queries")
        ax.set_title(f"{where}\n{_held(numbers)}; {queries}", loc="left")
        hang_size_key(ax, "of the queries")
        style.legend_below(ax, handles, f"{_AXIS[varied]} [−S·R²] and its interval", below=0.62, handlelength=2.2)
    return ax


def plot_response(
    metrics: pd.DataFrame,
    settings: pd.DataFrame,
    axes: tuple[Axes, Axes] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
) -> tuple[Axes, Axes]:
    """Two panels, one above the other: -S.R2 and AURC of each setting with their intervals, by direction.

    Settings stand evenly apart, whatever their values, so that all can be read. An interval is that of one setting:
    all settings see the same queries, so that two may differ though their intervals overlap.

    Args:
        metrics: of one data set, estimator, protocol, binning and set of positives (see `sensitivity_numbers`).
        settings: those of `settings_of` that vary the same.
        axes: where to draw, else a new figure. The legend hangs below the second.
        labels: data sets in words, where the project's own do not suit.

    Raises:
        OvertopError: a table is empty or lacks a column, or more is given than one panel can show.
    """
    require(metrics, ["dataset", "direction", "posterior", *_SETUP, *_VALUES], "metrics")
    require(settings, _SETTINGS, "settings")
    numbers = settings.sort_values(["rate", "passes"]).merge(metrics, on="posterior", sort=False)
    require(numbers, [], "metrics")
    only(numbers, ["dataset", "varied", *_SETUP], "a panel of settings")
    varied = numbers["varied"].iloc[0]
    values = sorted(settings[varied])
    with style.settings():
        first, second = axes or tuple(_empty(1, 1, 0).subplots(2, 1, sharex=True))
        for ax, (measure, text) in zip((first, second), MEASURES.items(), strict=True):
            handles = [_draw_response(ax, rows, measure, values) for rows in _by_direction(numbers)]
            ax.set_ylabel(text)
            ax.yaxis.set_major_formatter("{x:.2f}")
            ax.set_xlim(-0.5, len(values) - 0.5)
            ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
            ax.grid(axis="x", visible=False)
        first.tick_params(labelbottom=False)
        first.set_title(f"{words.label(numbers['dataset'].iloc[0], labels)}\n{_held(numbers)}", loc="left")
        second.set_xlabel(_AXIS[varied])
        style.legend_below(second, handles, "", handlelength=2.2)
    return first, second


def sensitivity_figure(
    curves: pd.DataFrame,
    metrics: pd.DataFrame,
    settings: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The paper's Fig. 3 or 4: a row for what varies, a column for each direction, and `plot_response` beside them.

    Args:
        curves: bins of one estimator on one data set (see `sensitivity_numbers`).
        metrics: -S.R2 and AURC of these posteriors.
        settings: of `settings_of`.
        labels: data sets in words, where the project's own do not suit.

    Raises:
        OvertopError: as for the panels.
    """
    numbers = sensitivity_numbers(curves, metrics, settings)
    shown = metrics.merge(numbers[["dataset", *_SETUP]].drop_duplicates())
    panels = _by_direction(numbers)
    rows = [settings[settings["varied"] == varied] for varied in words.ordered(settings["varied"], HELD)]
    with style.settings():
        titles = [words.where(panel, labels) for panel in panels]
        figure = _empty(len(rows), len(panels) + 1, max(map(len, rows)), titles)
        grid = figure.add_gridspec(len(rows), len(panels) + 1)
        responses = []
        for nth, row in enumerate(rows):
            for column, panel in enumerate(panels):
                ax = figure.add_subplot(grid[nth, column])
                of_direction = curves[curves["direction"] == panel["direction"].iloc[0]]
                plot_sensitivity(of_direction, metrics, row, ax, labels=labels)
                if column:
                    ax.set_ylabel("")  # as its neighbour's
            halves = grid[nth, -1].subgridspec(2, 1)
            first = figure.add_subplot(halves[0])
            pair = (first, figure.add_subplot(halves[1], sharex=first))
            responses.append(plot_response(shown, row, pair, labels=labels))
        for same in zip(*responses, strict=True):
            style.level(same)
        style.note(figure, f"{words.setup(numbers, _SETUP)}; faint: under {style.FEW} queries\n{_NOTE}")
    return figure


def _methods(numbers: pd.DataFrame, varied: str) -> list[Method]:
    """The lines of a panel by what varies, the larger the darker."""
    groups = [rows for _, rows in numbers.groupby(varied)]
    name, low, high = _RAMPS[varied]
    ramp = mpl.colormaps[name]
    found = []
    for nth, rows in enumerate(groups):
        first = rows.iloc[0]
        said = _said(varied, first[varied])
        colour = to_hex(ramp(high - (high - low) * nth / max(len(groups) - 1, 1)))
        look = style.Look(words.label(first["estimator"]), said, colour, _MARKERS[nth % len(_MARKERS)], "-", "none")
        found.append(Method(rows, look, f"{said} [{bracket(first['neg_sr2'], 2)}]{_interval(first)}"))
    return found


def _interval(row: pd.Series) -> str:
    """The interval of -S.R2, if there is one."""
    ends = [row["neg_sr2_low"], row["neg_sr2_high"]]
    return "" if pd.isna(ends).any() else f" {' to '.join(bracket(end, 2) for end in ends)}"


def _by_direction(numbers: pd.DataFrame) -> list[pd.DataFrame]:
    return [
        numbers[numbers["direction"] == direction]
        for direction in words.ordered(numbers["direction"], words.DIRECTIONS)
    ]


def _draw_response(ax: Axes, rows: pd.DataFrame, measure: str, values: Sequence[float]) -> Line2D:
    direction = rows["direction"].iloc[0]
    colour, marker, face, pattern = _DIRECTIONS[direction]
    x = rows[rows["varied"].iloc[0]].map(values.index) + _APART * (-1 if direction == "t2i" else 1)
    ax.vlines(x, rows[f"{measure}_low"], rows[f"{measure}_high"], color=colour, linewidth=0.9)
    artist: dict[str, Any] = {
        "color": colour,
        "linestyle": pattern,
        "linewidth": 0.7,
        "marker": marker,
        "markersize": 4,
        "markerfacecolor": face,
        "markeredgewidth": 0.8,
    }
    ax.plot(x, rows[measure], **artist)
    return Line2D([], [], label=words.label(direction), **artist)


def _values_of(name: str, values: Mapping[str, Mapping[str, float]]) -> tuple[float, int]:
    if name not in values:
        raise OvertopError(f"posterior {name!r} has no rate and no passes; name posteriors of kind mc_dropout")
    return float(values[name]["rate"]), int(values[name]["passes"])


def _said(varied: str, value: float) -> str:
    return f"rate {value:g}" if varied == "rate" else words.count(int(value), "pass", "passes")


def _held(rows: pd.DataFrame) -> str:
    """What a row of panels holds, in words."""
    held = HELD[rows["varied"].iloc[0]]
    return _said(held, rows[held].iloc[0])


def _empty(rows: int, columns: int, n_settings: int, titles: Iterable[str] = ()) -> Figure:
    """An empty figure; a title wider than its panel would run into the next."""
    widest = max((style.text_width(title, "axes.titlesize") for title in titles), default=0.0)
    width = max(_PANEL_WIDTH, _TITLE_MARGIN + widest)
    height = _PANEL_HEIGHT + _LEGEND_LINE * (n_settings + 3)  # title, key to the sizes and a gap
    layout = ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.05, hspace=0.04)
    return Figure(figsize=(width * columns, height * rows), layout=layout)
