"""Reliability diagrams: is a prediction right as often as its probability says? Clean images beside attacked ones."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from overtop import labels
from overtop.evaluation.probabilities import ECE_BINS, measure_probabilities, reliability_bins
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.method_styles import MethodStyle, model_styles
from overtop.figures.methods import format_value
from overtop.figures.reliability_panel import draw_diagonal, draw_points, format_diagram, panel_grid, panel_height
from overtop.terms import CLEAN

_PANEL = ["dataset", "view", "probability"]


def reliability_numbers(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        predictions: tables of `retrieval.predictions.predict_classes` with `dataset`, `model`, `view` and `encoder`.

    Returns:
        One row per data set, model, view, kind of probability and bin of equal width, of the images of all encoders of
        the model together: `low` and `high`, the edges; `n_images` (one per encoder and image) and `share`, of all of
        them; `confidence` and `accuracy`, the means; and `ece`, the mean over the encoders of their expected
        calibration error.

    Raises:
        OvertopError: a column is missing, or there are no rows.
    """
    columns = ["hit", "confidence", "uncertainty", "nll", "brier"]
    check_columns(predictions, [*_PANEL, "model", "encoder", *columns], "predictions")
    parts = []
    for key, rows in predictions.groupby(["dataset", "model", "view", "probability"], sort=False):
        errors = [float(measure_probabilities(of)["ece_width"][0]) for _, of in rows.groupby("encoder")]
        bins = reliability_bins(rows)
        names = dict(zip(["dataset", "model", "view", "probability"], key, strict=True))
        parts.append(bins.assign(**names, share=bins["n_images"] / len(rows), ece=sum(errors) / len(errors)))
    numbers = pd.concat(parts, ignore_index=True)
    return numbers[["dataset", "model", "view", "probability", *numbers.columns.drop([*_PANEL, "model"])]]


def plot_reliability(numbers: pd.DataFrame, axes: tuple[Axes, Axes] | None = None) -> tuple[Axes, Axes]:
    """One reliability diagram, a line per model, and below it the histograms of the confidence.

    Above the diagonal a model is under-confident, below it over-confident.

    Args:
        numbers: `reliability_numbers` of one data set, view and kind of probability.
        axes: where to draw the diagram and the histograms; None for a new figure. The legend is below them.

    Returns:
        The axes of the diagram and of the histograms.

    Raises:
        OvertopError: there are no rows, or several values where one diagram can show one.
    """
    check_columns(numbers, [*_PANEL, "model", "n_images", "confidence", "accuracy", "ece"], "reliability")
    check_single_value(numbers, _PANEL, "a reliability diagram")
    models = list(numbers["model"].unique())
    with style.figure_style():
        if axes is None:
            axes = tuple(panel_grid(style.new_figure(style.PANEL_WIDTH, panel_height(len(models))))[:, 0])
        assert axes is not None, "made above"
        diagram, histogram = axes
        handles = [draw_diagonal(diagram)]
        for method_style, (_, rows) in zip(model_styles(models), numbers.groupby("model", sort=False), strict=True):
            _draw_model(axes, rows, method_style)
            text = f"{method_style.label} [{format_value(float(rows['ece'].iloc[0]), 3)}]"
            handles.append(style.legend_handle(text, **method_style.line_properties()))
        _format_axes(axes, numbers)
        style.add_legend_below(histogram, handles, "Model [expected calibration error, ideal 0]")
    return axes


def reliability_figure(numbers: pd.DataFrame) -> Figure:
    """A diagram (`plot_reliability`) for each kind of probability (rows) and view (columns).

    Args:
        numbers: `reliability_numbers` of one data set; views are in their order there.

    Raises:
        OvertopError: as for `plot_reliability`, or there are several data sets.
    """
    check_single_value(numbers, ["dataset"], "a reliability figure")
    views = list(numbers["view"].unique())
    probabilities = labels.in_known_order(numbers["probability"], labels.PROBABILITIES)
    height = panel_height(numbers["model"].nunique())
    with style.figure_style():
        figure = style.new_figure(style.PANEL_WIDTH * len(views), height * len(probabilities) + 0.3)
        rows = figure.subfigures(len(probabilities), 1, squeeze=False)[:, 0]
        for part, probability in zip(rows, probabilities, strict=True):
            grid = panel_grid(part, len(views))
            for (diagram, histogram), view in zip(grid.T, views, strict=True):
                shown = numbers[(numbers["view"] == view) & (numbers["probability"] == probability)]
                plot_reliability(shown, (diagram, histogram))
            style.share_y_limits(list(grid[1]))
        dataset = labels.format_name(str(numbers["dataset"].iloc[0]))
        faint = f"faint: under {style.MIN_RELIABLE_QUERIES} images in the bin"
        note = f"{dataset}; {ECE_BINS} bins of equal width; below the diagonal: over-confident; {faint}"
        style.add_footnote(figure, note)
    return figure


def _draw_model(axes: tuple[Axes, Axes], rows: pd.DataFrame, method_style: MethodStyle) -> None:
    diagram, histogram = axes
    filled = rows[rows["n_images"] > 0]
    unreliable = filled["n_images"] < style.MIN_RELIABLE_QUERIES
    draw_points(diagram, filled["confidence"], filled["accuracy"], unreliable, method_style)
    edges = [*rows["low"], rows["high"].iloc[-1]]
    line = {"color": method_style.colour, "linestyle": method_style.line_style, "linewidth": method_style.width}
    histogram.stairs(rows["share"], edges, baseline=None, **line)


def _format_axes(axes: tuple[Axes, Axes], numbers: pd.DataFrame) -> None:
    diagram, histogram = axes
    view, probability = numbers.iloc[0][["view", "probability"]]
    shown = "Clean" if view == CLEAN else f"Under {view}"
    format_diagram(diagram, f"{shown}\n{labels.capitalise(labels.format_name(probability))}", "Accuracy")
    histogram.set(xlabel="Confidence", ylabel="Images", xlim=(0, 1))
    histogram.set_ylim(bottom=0)
    histogram.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
