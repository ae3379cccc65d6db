"""Reliability diagrams of confidence models: is the top-1 right as often as its probability says, and on which data?"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from overtop import labels
from overtop.confidence.hit_probabilities import DIAGRAM_BINS
from overtop.confidence.transfer import LABELLED
from overtop.errors import OvertopError
from overtop.evaluation.probabilities import ECE_BINS
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.method_styles import MethodStyle, model_styles
from overtop.figures.methods import LEGEND_MARGIN, format_value
from overtop.figures.reliability_panel import draw_diagonal, draw_points, format_diagram, panel_grid, panel_height

_PANEL = ["direction", "estimator"]
_COLUMNS = [
    *_PANEL, "dataset", "fit", "ece", "ece_calibrated", "level", "curve", "n_queries", "p_right", "accuracy",
    "accuracy_low", "accuracy_high", "coverage",
]  # fmt: skip


def confidence_numbers(
    bins: pd.DataFrame, estimators: Sequence[str] = (), place: str = "figures.confidence"
) -> pd.DataFrame:
    """Every number that the figure shows: the bins of the models that were fitted to labelled queries.

    Args:
        bins: `results/transfers/NAME-bins.csv`.
        estimators: names; none for all.
        place: named in error messages.

    Raises:
        OvertopError: a column is missing, or none of the estimators has a model.
    """
    check_columns(bins, _COLUMNS, "transfers")
    shown = bins[(bins["fit"] == LABELLED) & (bins["estimator"].isin(estimators) | (not estimators))]
    if shown.empty:
        present = ", ".join(map(str, bins["estimator"].unique()))
        raise OvertopError(f"{place}.estimators: the study has models of {present} only; name some of these")
    return shown


def plot_confidence(numbers: pd.DataFrame, axes: tuple[Axes, Axes] | None = None) -> tuple[Axes, Axes]:
    """One reliability diagram with a line per data set, and below it the share of queries with at least a probability.

    Points are bins of equal count with exact intervals. Below the diagonal the model is overconfident.

    Args:
        numbers: `confidence_numbers` of one direction and estimator.
        axes: where to draw the diagram and the coverage; None for a new figure. The legend is below them.

    Returns:
        The axes of the diagram and of the coverage.

    Raises:
        OvertopError: there are no rows, or several directions or estimators.
    """
    check_columns(numbers, _COLUMNS, "transfers")
    check_single_value(numbers, _PANEL, "a reliability diagram")
    datasets = list(numbers["dataset"].unique())
    with style.figure_style():
        if axes is None:
            axes = tuple(panel_grid(style.new_figure(*_panel_size(datasets)))[:, 0])
        assert axes is not None, "made above"
        diagram, coverage = axes
        handles = [draw_diagonal(diagram)]
        for line_style, (dataset, rows) in zip(
            model_styles(datasets), numbers.groupby("dataset", sort=False), strict=True
        ):
            _draw_dataset(axes, rows, line_style)
            errors = "; ".join(format_value(float(rows[name].iloc[0]), 3) for name in ("ece", "ece_calibrated"))
            text = f"{labels.format_name(str(dataset))} [{errors}]"
            handles.append(style.legend_handle(text, **line_style.line_properties()))
        _format_axes(axes, numbers)
        style.add_legend_below(coverage, handles, "Data set [calibration error; that of a perfect model]")
    return axes


def confidence_figure(numbers: pd.DataFrame) -> Figure:
    """A diagram (`plot_confidence`) for each estimator (rows) and direction (columns).

    Args:
        numbers: `confidence_numbers`; data sets are in their order there.

    Raises:
        OvertopError: as for `plot_confidence`.
    """
    directions = labels.in_known_order(numbers["direction"], labels.DIRECTIONS)
    estimators = labels.in_known_order(numbers["estimator"], labels.ESTIMATORS)
    width, height = _panel_size(list(numbers["dataset"].unique()))
    with style.figure_style():
        figure = style.new_figure(width * len(directions), height * len(estimators) + 0.4)
        parts = figure.subfigures(len(estimators), 1, squeeze=False)[:, 0]
        for part, estimator in zip(parts, estimators, strict=True):
            grid = panel_grid(part, len(directions))
            for pair, direction in zip(grid.T, directions, strict=True):
                shown = numbers[(numbers["estimator"] == estimator) & (numbers["direction"] == direction)]
                plot_confidence(shown, tuple(pair))
        level = f"{numbers['level'].iloc[0]:.0%}".replace("%", " %")
        faint = f"faint: under {style.MIN_RELIABLE_QUERIES} queries in the bin"
        points = (
            f"points: {DIAGRAM_BINS} bins of equal count, {level} intervals, {faint}; below the diagonal: overconfident"
        )
        others = f"coverage: share of queries with at least this probability; calibration error: in {ECE_BINS} bins"
        note = f"{points}\n{others}"
        style.add_footnote(figure, note)
    return figure


def _draw_dataset(axes: tuple[Axes, Axes], rows: pd.DataFrame, line_style: MethodStyle) -> None:
    diagram, coverage = axes
    points = rows[rows["curve"] == "reliability"].sort_values("p_right")
    unreliable = points["n_queries"] < style.MIN_RELIABLE_QUERIES
    shown = points[~unreliable]
    ends = shown["p_right"], shown["accuracy_low"], shown["accuracy_high"]
    diagram.vlines(*ends, color=line_style.colour, linewidth=0.6, alpha=style.FAINT_ALPHA, zorder=1.5)
    draw_points(diagram, points["p_right"], points["accuracy"], unreliable, line_style)
    curve = rows[rows["curve"] == "coverage"].sort_values("p_right")
    coverage.plot(curve["p_right"], curve["coverage"], **line_style.line_properties() | {"marker": ""})


def _format_axes(axes: tuple[Axes, Axes], numbers: pd.DataFrame) -> None:
    diagram, coverage = axes
    direction, estimator = numbers.iloc[0][_PANEL]
    title = f"{labels.capitalise(labels.format_name(direction))}\n{labels.format_name(estimator)}"
    format_diagram(diagram, title, "Share of right top-1")
    coverage.set(xlabel="Probability that the top-1 is right", ylabel="Coverage")
    coverage.set(xlim=(0, 1), ylim=(0, 1.02))
    coverage.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _panel_size(datasets: Sequence[str]) -> tuple[float, float]:
    """Width and height of a panel in inches; long names widen it, since a wide legend would squeeze the axes."""
    longest = max(
        style.text_width(f"{labels.format_name(name)} [0.000; 0.000]", "legend.fontsize") for name in datasets
    )
    return max(style.PANEL_WIDTH, LEGEND_MARGIN + longest + 0.1), panel_height(len(datasets))
