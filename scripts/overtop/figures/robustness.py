"""Accuracy of the models of a study against the epsilon of an attack."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overtop import labels
from overtop.errors import OvertopError
from overtop.evaluation.robustness import ACCURACY, AVERAGE
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.method_styles import model_styles
from overtop.terms import CLEAN

_COLUMNS = ["dataset", "model", "view", "measure", "n_images", "value", "value_low", "value_high"]
_MAX_COLUMNS, _CHARACTERS_PER_INCH = 3, 17


def robustness_numbers(table: pd.DataFrame, epsilons: Mapping[str, float]) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        table: `results/robustness/NAME.csv`.
        epsilons: of the attacks to show, by name, in 1/255.

    Returns:
        One row per data set, model and view with `epsilon`, 0 for the clean view, and the accuracy with its interval.

    Raises:
        OvertopError: the table is empty or lacks a column, or two attacks have the same epsilon.
    """
    check_columns(table, _COLUMNS, "robustness")
    if len(set(epsilons.values())) < len(epsilons):
        names = ", ".join(f"{name} ({epsilon:g}/255)" for name, epsilon in epsilons.items())
        raise OvertopError(f"attacks: a line shows one attack per epsilon, not {names}; name attacks that differ in it")
    by_view = {CLEAN: 0.0, **epsilons}
    rows = table[(table["measure"] == ACCURACY) & table["view"].isin(list(by_view))]
    check_columns(rows, [], "robustness")
    return rows[_COLUMNS].assign(epsilon=rows["view"].map(by_view)).reset_index(drop=True)


def plot_robustness(numbers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: accuracy against epsilon, a line with its intervals for each model.

    Args:
        numbers: `robustness_numbers` of one data set.
        ax: where to draw; None for a new figure.

    Raises:
        OvertopError: there are no rows, or several data sets.
    """
    check_columns(numbers, [*_COLUMNS, "epsilon"], "robustness")
    check_single_value(numbers, ["dataset"], "a robustness panel")
    with style.figure_style():
        ax = ax or style.new_figure(style.PANEL_WIDTH, style.PANEL_HEIGHT).subplots()
        for model_style in model_styles(numbers["model"].unique()):
            rows = numbers[numbers["model"] == model_style.label].sort_values("epsilon")
            low, high = 100 * rows["value_low"], 100 * rows["value_high"]
            ax.fill_between(rows["epsilon"], low, high, color=model_style.colour, alpha=0.12, linewidth=0)
            ax.plot(rows["epsilon"], 100 * rows["value"], **model_style.line_properties())
        epsilons = sorted(numbers["epsilon"].unique())
        ax.set_xscale("symlog", linthresh=epsilons[1] if len(epsilons) > 1 else 1, linscale=0.6)
        ax.set_xticks(epsilons, [f"{epsilon:g}" for epsilon in epsilons])
        ax.set_xticks([], minor=True)
        ax.set_ylim(0, max(5.0, 105 * numbers["value_high"].max()))
        dataset = str(numbers["dataset"].iloc[0])
        name = "Average of the data sets" if dataset == AVERAGE else labels.format_name(dataset)
        ax.set_title(f"{name} ({labels.format_count(int(numbers['n_images'].iloc[0]), 'image')})", loc="left")
        ax.set(xlabel="ε of the attack, in 1/255", ylabel="Accuracy (%)")
    return ax


def robustness_figure(numbers: pd.DataFrame) -> Figure:
    """A panel (`plot_robustness`) for each data set, and one for their average.

    Args:
        numbers: `robustness_numbers`.

    Raises:
        OvertopError: as for `plot_robustness`.
    """
    check_columns(numbers, _COLUMNS, "robustness")
    datasets = labels.in_known_order(numbers["dataset"], [AVERAGE])
    columns = min(len(datasets), _MAX_COLUMNS)
    rows = math.ceil(len(datasets) / columns)
    models = list(numbers["model"].unique())
    with style.figure_style():
        legend_columns = _legend_columns(models, style.PANEL_WIDTH * columns)
        legend_height = style.LEGEND_LINE_HEIGHT * (math.ceil(len(models) / legend_columns) + 1)
        figure = style.new_figure(style.PANEL_WIDTH * columns, style.PANEL_HEIGHT * rows + legend_height + 0.2)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, dataset in zip(grid, datasets, strict=False):
            plot_robustness(numbers[numbers["dataset"] == dataset], ax)
        for ax in grid[len(datasets) :]:
            ax.set_axis_off()
        handles = [style.legend_handle(each.label, **each.line_properties()) for each in model_styles(models)]
        figure.legend(handles=handles, loc="outside lower left", ncols=legend_columns)
        names = ", ".join(view for view in numbers["view"].unique() if view != CLEAN)
        note = f"Attacks: {names}. Bands: bootstrap intervals over images"
        lines = textwrap.wrap(note, int(_CHARACTERS_PER_INCH * style.PANEL_WIDTH * columns))
        figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=7)
    return figure


def _legend_columns(models: Sequence[str], width: float) -> int:
    """How many entries fit side by side into a width in inches."""
    longest = max(style.text_width(model, "legend.fontsize") for model in models)
    return max(1, min(len(models), int(width / (longest + 0.8))))
