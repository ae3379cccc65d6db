"""Sensitivity plots (the paper's Fig. 3 and 4): the effect of the rate and the number of passes of MC dropout."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overtop import labels
from overtop.errors import OvertopError
from overtop.evaluation.selection import select_rows
from overtop.figures import style
from overtop.figures.calibration import add_size_key, calibration_numbers, count_queries, draw_bins, format_axes
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.method_styles import MethodStyle
from overtop.figures.methods import Method, format_value, join_metrics

CONSTANT_PARAMETERS = {"rate": "passes", "passes": "rate"}
"""For each parameter that a row of panels can vary, in the order of the rows, the one that is constant in it."""

MEASURES = {"neg_sr2": "−S·R² (ideal 1)", "aurc": "AURC (ideal 0)"}
"""What `plot_response` shows against the varied parameter, with its label."""

_SETTINGS_COLUMNS = ["varied", "posterior", "rate", "passes"]
_SETUP = ["estimator", "protocol", "binning", "positives"]
_VALUES = [measure + end for measure in MEASURES for end in ("", "_low", "_high")]
_PARAMETER_LABELS = {"rate": "Dropout rate", "passes": "Passes"}
_PALETTES = {"rate": "flare", "passes": "crest"}  # from light to dark, visible on white
_MARKERS = "os^Dv<>Ph"
_DIRECTION_STYLES = {
    "palette": {"t2i": "#000000", "i2t": "#606060"},
    "markers": {"t2i": "o", "i2t": "s"},
    "dashes": {"t2i": "", "i2t": (3, 1.5)},
}
_OFFSETS = {"t2i": -0.07, "i2t": 0.07}  # of a direction's markers, as a fraction of the distance between two settings
_FOOTNOTE = (
    "AURC: area under the risk-coverage curve. Bars: intervals; since all settings have the same queries, settings "
    "with overlapping intervals can differ"
)
_PANEL_WIDTH, _PANEL_HEIGHT, _TITLE_MARGIN = 2.35, 2.6, 0.6  # inches; three panels fill the width of a page


def make_settings(
    rates: Sequence[str], passes: Sequence[str], values: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """The settings that each row of panels compares.

    Args:
        rates: posteriors that differ in their rate alone; may be empty.
        passes: posteriors that differ in their number of passes alone; may be empty.
        values: `rate` and `passes` of each posterior.

    Returns:
        Columns `varied` (`rate` or `passes`), `posterior`, `rate`, `passes`; a row per line, sorted by what varies.

    Raises:
        OvertopError: a posterior has no values, or the posteriors of a row differ in the constant parameter or have the
            same value of the varied one.
    """
    rows = [
        (varied, name, *_dropout_parameters(name, values))
        for varied, names in (("rate", rates), ("passes", passes))
        for name in names
    ]
    settings = pd.DataFrame(rows, columns=_SETTINGS_COLUMNS).astype({"rate": float, "passes": int})
    for varied, constant in CONSTANT_PARAMETERS.items():
        same_row = settings[settings["varied"] == varied]
        check_single_value(same_row, [constant], f"a row of panels that varies the {varied}")
        duplicates = same_row[same_row.duplicated(varied, keep=False)]
        if len(duplicates):
            setting, names = _format_setting(varied, duplicates[varied].iloc[0]), ", ".join(duplicates["posterior"])
            raise OvertopError(f"{setting}: a row of panels shows one posterior, not {names}; leave the others out")
    order = settings["varied"].map(list(CONSTANT_PARAMETERS).index)
    return settings.assign(order=order).sort_values(["order", "rate", "passes"], ignore_index=True)[_SETTINGS_COLUMNS]


def sensitivity_numbers(curves: pd.DataFrame, metrics: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        curves: calibration bins of one estimator on one data set, as for `calibration_numbers`.
        metrics: one row per posterior and direction, with `neg_sr2`, `aurc` and their intervals (`_low`, `_high`).
        settings: result of `make_settings`.

    Returns:
        The bins with `varied`, `rate`, `passes`, `share` (the bin's fraction of its queries), `neg_sr2`, `aurc` and
        their intervals. A posterior in both rows of panels appears twice.

    Raises:
        OvertopError: `settings` is empty, a column is missing, a posterior of `settings` was not evaluated or has
            different rows, or there are several data sets, estimators, protocols, binnings or sets of positives.
    """
    check_columns(settings, _SETTINGS_COLUMNS, "settings")
    numbers = join_metrics(calibration_numbers(curves, metrics), metrics, ["binning"], _VALUES)
    check_single_value(numbers, ["dataset", *_SETUP], "a sensitivity figure")
    missing = sorted(set(settings["posterior"]) - set(numbers["posterior"]))
    if missing:
        raise OvertopError(f"curves: no rows of {', '.join(missing)}; evaluate it, or leave it out of the figure")
    return settings.merge(numbers, on="posterior", sort=False)


def plot_sensitivity(
    curves: pd.DataFrame, metrics: pd.DataFrame, settings: pd.DataFrame, ax: Axes | None = None
) -> Axes:
    """One panel: R@1 against the uncertainty level, a line per setting; marker areas show the size of the bins.

    The legend is sorted by the varied parameter, as a key to the colours, with -S R2 in brackets and its interval.

    Args:
        curves: bins of one direction (see `sensitivity_numbers`).
        metrics: -S R2 and AURC of these posteriors.
        settings: rows of `make_settings` that vary the same parameter.
        ax: where to draw; None for a new figure. The legends are below the axes.

    Raises:
        OvertopError: as for `sensitivity_numbers`, or there are several directions or varied parameters.
    """
    numbers = sensitivity_numbers(curves, metrics, settings)
    check_single_value(numbers, ["direction", "varied"], "a sensitivity panel")
    varied = numbers["varied"].iloc[0]
    methods = _setting_methods(numbers, varied)
    with style.figure_style():
        title = labels.dataset_label(numbers)
        ax = ax or _new_figure(1, 1, len(methods), [title]).subplots()
        for method in methods:
            draw_bins(ax, method)
        format_axes(ax, int(numbers["level"].max()) + 1, "Uncertainty level, 0 = lowest")
        n_queries = labels.format_count(int(count_queries(numbers).max()), "query")
        ax.set_title(f"{title}\n{_constant_setting(numbers)}; {n_queries}", loc="left")
        add_size_key(ax, "of the queries")
        handles = [method.legend_handle() for method in methods]
        legend_title = f"{_PARAMETER_LABELS[varied]} [−S·R²] and its interval"
        style.add_legend_below(ax, handles, legend_title, offset=0.62, handlelength=2.2)
    return ax


def plot_response(
    metrics: pd.DataFrame, settings: pd.DataFrame, axes: tuple[Axes, Axes] | None = None
) -> tuple[Axes, Axes]:
    """Two panels, one above the other: -S R2 and AURC of each setting with their intervals, by direction.

    Settings are equally spaced, whatever their values, so that all are readable. An interval belongs to one setting:
    all settings have the same queries, so that two may differ although their intervals overlap.

    Args:
        metrics: of one data set, estimator, protocol, binning and set of positives (see `sensitivity_numbers`).
        settings: rows of `make_settings` that vary the same parameter.
        axes: where to draw; None for a new figure. The legend is below the second.

    Raises:
        OvertopError: a table is empty, lacks a column, or has several values where one panel can show one.
    """
    check_columns(metrics, ["dataset", "direction", "posterior", *_SETUP, *_VALUES], "metrics")
    check_columns(settings, _SETTINGS_COLUMNS, "settings")
    numbers = settings.merge(metrics, on="posterior", sort=False)
    check_columns(numbers, [], "metrics")
    check_single_value(numbers, ["dataset", "varied", *_SETUP], "a panel of settings")
    varied = numbers["varied"].iloc[0]
    values = sorted(settings[varied])
    numbers["position"] = numbers[varied].map(values.index) + numbers["direction"].map(_OFFSETS)
    with style.figure_style():
        first, second = axes or tuple(_new_figure(1, 1, 0).subplots(2, 1, sharex=True))
        for ax, measure in zip((first, second), MEASURES, strict=True):
            handles = _draw_response(ax, numbers, measure)
            ax.set_xlim(-0.5, len(values) - 0.5)
            ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        first.tick_params(labelbottom=False)
        first.set_title(f"{labels.format_name(numbers['dataset'].iloc[0])}\n{_constant_setting(numbers)}", loc="left")
        second.set_xlabel(_PARAMETER_LABELS[varied])
        style.add_legend_below(second, handles, "", handlelength=2.2)
    return first, second


def sensitivity_figure(curves: pd.DataFrame, metrics: pd.DataFrame, settings: pd.DataFrame) -> Figure:
    """The paper's Fig. 3 or 4: a row per varied parameter, with a panel per direction and `plot_response`.

    Args:
        curves: bins of one estimator on one data set (see `sensitivity_numbers`).
        metrics: -S R2 and AURC of these posteriors.
        settings: result of `make_settings`.

    Raises:
        OvertopError: as for the panels.
    """
    numbers = sensitivity_numbers(curves, metrics, settings)
    same_setup = metrics.merge(numbers[["dataset", *_SETUP]].drop_duplicates())
    directions = labels.in_known_order(numbers["direction"], labels.DIRECTIONS)
    rows = [rows for _, rows in settings.groupby("varied", sort=False)]
    titles = [labels.dataset_label(select_rows(numbers, direction=direction)) for direction in directions]
    with style.figure_style():
        figure = _new_figure(len(rows), len(directions) + 1, max(map(len, rows)), titles)
        grid = figure.add_gridspec(len(rows), len(directions) + 1)
        responses = []
        for i, row in enumerate(rows):
            for j, direction in enumerate(directions):
                ax = figure.add_subplot(grid[i, j])
                plot_sensitivity(select_rows(curves, direction=direction), metrics, row, ax)
                if j:
                    ax.set_ylabel("")  # same as in the first column
            halves = grid[i, -1].subgridspec(2, 1)
            first = figure.add_subplot(halves[0])
            pair = (first, figure.add_subplot(halves[1], sharex=first))
            responses.append(plot_response(same_setup, row, pair))
        for same_measure in zip(*responses, strict=True):
            style.share_y_limits(same_measure)
        setup = labels.setup_label(numbers, _SETUP)
        style.add_footnote(figure, f"{setup}; faint: under {style.MIN_RELIABLE_QUERIES} queries\n{_FOOTNOTE}")
    return figure


def _setting_methods(numbers: pd.DataFrame, varied: str) -> list[Method]:
    """A line per setting in the order of the varied parameter; the larger, the darker."""
    groups = [rows for _, rows in numbers.groupby(varied)]
    colours = sns.color_palette(_PALETTES[varied], len(groups)).as_hex()
    methods = []
    for i, (rows, colour) in enumerate(zip(groups, colours, strict=True)):
        first = rows.iloc[0]
        setting = _format_setting(varied, first[varied])
        setting_style = MethodStyle(setting, setting, colour, _MARKERS[i % len(_MARKERS)], "-", "none")
        methods.append(
            Method(rows, setting_style, f"{setting} [{format_value(first['neg_sr2'], 2)}]{_format_interval(first)}")
        )
    return methods


def _format_interval(row: pd.Series) -> str:
    """Interval of -S R2, ` 0.10 to 0.20`; empty if it is undefined."""
    ends = [row["neg_sr2_low"], row["neg_sr2_high"]]
    return "" if pd.isna(ends).any() else f" {' to '.join(format_value(end, 2) for end in ends)}"


def _draw_response(ax: Axes, numbers: pd.DataFrame, measure: str) -> list[Artist]:
    """Draw a measure with its intervals at `position`, a line per direction; returns the legend entries."""
    order = labels.in_known_order(numbers["direction"], labels.DIRECTIONS)
    directions = {"hue": "direction", "style": "direction", "hue_order": order, "style_order": order}
    sns.lineplot(
        numbers, x="position", y=measure, estimator=None, linewidth=0.7, ax=ax, **directions, **_DIRECTION_STYLES
    )
    colours = numbers["direction"].map(_DIRECTION_STYLES["palette"])
    ax.vlines(numbers["position"], numbers[f"{measure}_low"], numbers[f"{measure}_high"], colors=colours, linewidth=0.9)
    ax.set(xlabel="", ylabel=MEASURES[measure])
    ax.yaxis.set_major_formatter("{x:.2f}")
    ax.grid(axis="x", visible=False)
    return style.take_legend_handles(ax, labels.DIRECTIONS)


def _dropout_parameters(posterior: str, values: Mapping[str, Mapping[str, float]]) -> tuple[float, int]:
    if posterior not in values:
        raise OvertopError(f"posterior {posterior!r} has no rate and no passes; name posteriors of kind mc_dropout")
    return float(values[posterior]["rate"]), int(values[posterior]["passes"])


def _format_setting(parameter: str, value: float) -> str:
    """`rate 0.2` or `50 passes`."""
    return f"rate {value:g}" if parameter == "rate" else labels.format_count(int(value), "pass")


def _constant_setting(rows: pd.DataFrame) -> str:
    """The constant parameter of a row of panels and its value."""
    constant = CONSTANT_PARAMETERS[rows["varied"].iloc[0]]
    return _format_setting(constant, rows[constant].iloc[0])


def _new_figure(rows: int, columns: int, n_settings: int, titles: Iterable[str] = ()) -> Figure:
    """An empty figure whose panels are as wide as the longest of their titles."""
    longest = max((style.text_width(title, "axes.titlesize") for title in titles), default=0.0)
    width = max(_PANEL_WIDTH, _TITLE_MARGIN + longest)
    height = _PANEL_HEIGHT + style.LEGEND_LINE_HEIGHT * (n_settings + 3)  # title, key to the sizes and a gap
    return style.new_figure(width * columns, height * rows)
