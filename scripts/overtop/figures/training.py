"""Losses and validation accuracies of adversarial fine-tuning, a row of panels for each encoder."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from overtop import labels
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

MAX_POINTS = 200
"""Points of a curve of losses; with more steps each point is the mean of consecutive steps."""

_ACCURACIES = {"val_clean": "Clean", "val_robust": "Under the attack of the training"}
_NO_TERMS = ["encoder", "step", "epoch", "learning_rate", "loss", *_ACCURACIES, "val_score"]
_COLUMNS = ["encoder", "step", "epoch", "quantity", "value", "chosen"]
_TERM_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
_DECADES = 5
"""Decades of losses that are shown: terms that start at zero would squeeze the others."""


def training_numbers(log: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows.

    Args:
        log: training logs (results/training/ENCODER.csv) with a column `encoder`.

    Returns:
        One row per point: `encoder`, `step`, `epoch`, `quantity` (`loss`, a term, `val_clean`, `val_robust`), `value`,
        and `chosen`, whether it belongs to the epoch that was written.

    Raises:
        OvertopError: a column is missing, or there are no rows.
    """
    check_columns(log, _NO_TERMS, "training log")
    parts = []
    for _, rows in log.groupby("encoder", sort=False):
        validated = rows.dropna(subset=["val_score"])
        chosen = int(validated.loc[validated["step"] > 0].set_index("epoch")["val_score"].idxmax())
        terms = [c for c in rows.columns if c not in _NO_TERMS and rows[c].notna().any()]
        losses = _mean_of_blocks(rows[rows["step"] > 0], ["loss", *terms] if len(terms) > 1 else ["loss"])
        for table in (losses, validated[["encoder", "step", "epoch", *_ACCURACIES]]):
            parts.append(table.melt(["encoder", "step", "epoch"], var_name="quantity"))
            parts[-1]["chosen"] = parts[-1]["epoch"] == chosen
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def plot_losses(numbers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: the loss and its terms against the step, on a logarithmic scale.

    Args:
        numbers: `training_numbers` of one encoder.
        ax: where to draw; None for a new figure. The legend is below the axes.

    Raises:
        OvertopError: there are no rows, or those of several encoders.
    """
    check_columns(numbers, _COLUMNS, "training log")
    check_single_value(numbers, ["encoder"], "a panel of losses")
    losses = numbers[~numbers["quantity"].isin(_ACCURACIES)]
    names = labels.in_known_order(losses["quantity"], ["loss"])
    with style.figure_style():
        ax = ax or _new_figure(1, 1, len(names)).subplots()
        handles = []
        for name, colour in zip(names, ("0.7", *_TERM_COLOURS), strict=False):
            rows = losses[losses["quantity"] == name]
            line = {"color": colour, "linewidth": 2.8 if name == "loss" else 1.0}  # a term may equal the loss
            ax.plot(rows["step"], rows["value"], **line)
            handles.append(style.legend_handle(_term_label(name), **line))
        largest = losses["value"].max()
        ax.set_yscale("log")
        ax.set_ylim(bottom=max(losses.loc[losses["value"] > 0, "value"].min() / 2, largest / 10**_DECADES))
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        ax.set(xlabel="Step", ylabel="Training loss")
        ax.set_title(str(numbers["encoder"].iloc[0]), loc="left")
        style.add_legend_below(ax, handles, "", ncols=2)
    return ax


def plot_accuracies(numbers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One panel: accuracy on the validation split after each epoch, clean and under the attack of the training.

    The epoch that was written is marked; epoch 0 is the encoder that training started from.

    Args:
        numbers: `training_numbers` of one encoder.
        ax: where to draw; None for a new figure. The legend is below the axes.

    Raises:
        OvertopError: there are no rows, or those of several encoders.
    """
    check_columns(numbers, _COLUMNS, "training log")
    check_single_value(numbers, ["encoder"], "a panel of accuracies")
    with style.figure_style():
        ax = ax or _new_figure(1, 1, len(_ACCURACIES)).subplots()
        handles = []
        for (name, label), colour, marker in zip(_ACCURACIES.items(), (BLUE, RED), "os", strict=True):
            rows = numbers[numbers["quantity"] == name]
            line = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.1}
            ax.plot(rows["epoch"], rows["value"], **line)
            final = rows.loc[rows["chosen"], "value"].iloc[0]
            handles.append(style.legend_handle(f"{label} [{final:.1%}]", **line))
        chosen = int(numbers.loc[numbers["chosen"], "epoch"].iloc[0])
        marker_line = {"color": GREY, "linestyle": (0, (4, 1.5)), "linewidth": 0.9}
        ax.axvline(chosen, zorder=1, **marker_line)
        handles.append(style.legend_handle(f"Epoch that was written: {chosen}", **marker_line))
        ax.set(xlabel="Epoch", ylabel="Validation accuracy", ylim=(0, max(0.05, 1.08 * _largest_accuracy(numbers))))
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_title(str(numbers["encoder"].iloc[0]), loc="left")
        style.add_legend_below(ax, handles, "Accuracy [of that epoch]")
    return ax


def training_figure(numbers: pd.DataFrame) -> Figure:
    """A row for each encoder: `plot_losses` and `plot_accuracies`; accuracies have the same scale in all rows.

    Args:
        numbers: `training_numbers` of some encoders.

    Raises:
        OvertopError: there are no rows.
    """
    check_columns(numbers, _COLUMNS, "training log")
    encoders = list(numbers["encoder"].unique())
    n_terms = numbers.groupby("encoder")["quantity"].nunique().max() - len(_ACCURACIES)
    with style.figure_style():
        figure = _new_figure(len(encoders), 2, max(3, (n_terms + 1) // 2))
        grid = figure.subplots(len(encoders), 2, squeeze=False)
        for encoder, (left, right) in zip(encoders, grid, strict=True):
            rows = numbers[numbers["encoder"] == encoder]
            plot_losses(rows, left)
            plot_accuracies(rows, right)
        style.share_y_limits([right for _, right in grid])
        style.add_footnote(
            figure, "The written epoch has the largest harmonic mean of both accuracies on the validation split"
        )
    return figure


def _mean_of_blocks(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Means of consecutive steps, at most `MAX_POINTS` rows, at the last step of each block."""
    size = -(-len(rows) // MAX_POINTS)
    groups = rows.groupby(np.arange(len(rows)) // size)
    return pd.concat([groups[["encoder", "step", "epoch"]].last(), groups[columns].mean()], axis=1)


def _largest_accuracy(numbers: pd.DataFrame) -> float:
    return float(numbers.loc[numbers["quantity"].isin(_ACCURACIES), "value"].max())


def _term_label(name: str) -> str:
    """`kl_dirichlet` becomes `KL Dirichlet`."""
    text = name.replace("_", " ").replace("dirichlet", "Dirichlet")
    return "KL" + text[2:] if text.startswith("kl") else labels.capitalise(text)


def _new_figure(rows: int, columns: int, legend_lines: int) -> Figure:
    height = style.PANEL_HEIGHT * 0.8 + style.LEGEND_LINE_HEIGHT * (legend_lines + 1)
    return style.new_figure(style.PANEL_WIDTH * columns, height * rows)
