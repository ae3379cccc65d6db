"""Distributions of uncertainties on clean and on attacked images, and what the attack does to their mean."""

import math
from collections.abc import Iterator

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from overtop import labels
from overtop.evaluation.attack_effects import LOWERS, RAISES, UNDECIDED
from overtop.evaluation.scored_views import ALL, ATTACKED, RIGHT_BEFORE
from overtop.figures import style
from overtop.figures.checks import check_columns, check_single_value
from overtop.terms import CLEAN

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of every distribution, in the numbers of the figure; the quartiles are drawn."""

TAIL_RATIO = 20.0
"""Ratio of the largest value to the median above which positive uncertainties have a logarithmic axis."""

_COLOURS = {CLEAN: style.BLUE, ATTACKED: style.ORANGE}
_MARKS = {RAISES: "▲", LOWERS: "▼", UNDECIDED: ""}
_PANEL = ["estimator", "images"]
_MODEL_WIDTH, _MARGIN, _PANEL_HEIGHT = 0.72, 0.9, 1.75  # inches
_MIN_WIDTH = 4.6
_FOOTNOTE = (
    "Lines: quartiles. Above: mean change in standard deviations of the clean uncertainty;\n"
    "▲ raised, ▼ lowered, grey: not distinguishable from no change (paired test,\nHolm-adjusted for all of the study)"
)
_TITLES = {ALL: "All images", RIGHT_BEFORE: "Right before the attack"}


def attack_effect_numbers(values: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Every number that the figure shows, apart from the shape of the distributions between their quantiles.

    Args:
        values: result of `evaluation.scored_views.distributions` of several models, with `dataset` and `model`.
        effects: rows of `evaluation.attack_effects.add_verdicts` for the same data set and attack.

    Returns:
        One row per estimator, set of images, model and view: `n_pairs`, `mean`, the quantiles `q05` to `q95`, and of
        the model's effect `difference`, its interval, `clean_sd` and `verdict`.

    Raises:
        OvertopError: a table is empty or lacks a column, or there are several data sets or attacks.
    """
    check_columns(values, [*_PANEL, "dataset", "model", "view", "uncertainty"], "uncertainties")
    check_columns(effects, [*_PANEL, "dataset", "model", "attack", "difference", "clean_sd", "verdict"], "effects")
    check_single_value(values, ["dataset"], "a figure of an attack's effect")
    check_single_value(effects, ["dataset", "attack"], "a figure of an attack's effect")
    key = ["dataset", *_PANEL, "model", "view"]
    groups = values.groupby(key, sort=False)["uncertainty"]
    numbers = pd.DataFrame({"n_pairs": groups.size(), "mean": groups.mean()})
    for q in QUANTILES:
        numbers[f"q{round(100 * q):02}"] = groups.quantile(q)
    columns = ["difference", "difference_low", "difference_high", "clean_sd", "verdict"]
    return numbers.reset_index().merge(effects[["attack", *key[:-1], *columns]], on=key[:-1], how="left")


def plot_attack_effect(
    values: pd.DataFrame, effects: pd.DataFrame, ax: Axes | None = None, *, logarithmic: bool | None = None
) -> Axes:
    """One panel: for each model the distribution of an uncertainty, clean on the left and attacked on the right.

    Args:
        values: as for `attack_effect_numbers`, of one estimator and set of images.
        effects: likewise.
        ax: where to draw; None for a new figure.
        logarithmic: whether the axis of the uncertainty is; by default if it has a long upper tail.

    Raises:
        OvertopError: a table is empty or lacks a column, or there are several estimators or sets of images.
    """
    check_columns(values, [*_PANEL, "model", "view", "uncertainty"], "uncertainties")
    check_single_value(values, _PANEL, "a panel")
    models = list(values["model"].unique())
    if logarithmic is None:
        logarithmic = _has_long_tail(values["uncertainty"])
    with style.figure_style():
        ax = ax or style.new_figure(_width(len(models)), _PANEL_HEIGHT + 0.5).subplots()
        sns.violinplot(
            values, x="model", y="uncertainty", hue="view", order=models, hue_order=list(_COLOURS), palette=_COLOURS,
            split=True, inner="quart", gap=0.06, cut=0, density_norm="width", linewidth=0.6, saturation=1,
            log_scale=(None, logarithmic), legend=False, ax=ax,
        )  # fmt: skip
        by_model = effects.set_index("model")
        for position, model in enumerate(models):
            _annotate(ax, position, by_model.loc[model])
        ax.set(xlabel="", ylabel=labels.label_uncertainty(values["estimator"].iloc[0]))
        ax.grid(axis="x", visible=False)
        if not logarithmic:
            ax.yaxis.set_major_formatter("{x:g}")  # no exponent above the axis, where the changes are
        if max(style.text_width(model, "xtick.labelsize") for model in models) > _MODEL_WIDTH:
            ax.tick_params(axis="x", rotation=30)
    return ax


def attack_effect_figure(values: pd.DataFrame, effects: pd.DataFrame) -> Figure:
    """A row per estimator; all images on the left, and those that were right before the attack on the right.

    Args:
        values: as for `attack_effect_numbers`.
        effects: likewise.

    Raises:
        OvertopError: as for `attack_effect_numbers`.
    """
    attack_effect_numbers(values, effects)
    estimators = labels.order_uncertainties(values["estimator"])
    columns = [images for images in (ALL, RIGHT_BEFORE) if (values["images"] == images).any()]
    width = _width(values["model"].nunique()) * len(columns)
    with style.figure_style():
        figure = style.new_figure(max(width, _MIN_WIDTH), _PANEL_HEIGHT * len(estimators) + 1.2)
        grid = figure.subplots(len(estimators), len(columns), squeeze=False)
        for row, estimator in zip(grid, estimators, strict=True):
            logarithmic = _has_long_tail(values.loc[values["estimator"] == estimator, "uncertainty"])
            for ax, images in zip(row, columns, strict=True):
                shown, changes = (_panel(table, estimator, images) for table in (values, effects))
                plot_attack_effect(shown, changes, ax, logarithmic=logarithmic)
            style.share_y_limits(row)
            for ax in row[1:]:
                ax.set_ylabel("")
        for ax in grid[:-1].ravel():
            ax.tick_params(labelbottom=False)  # the models are named below the last row
        for ax, images in zip(grid[0], columns, strict=True):
            ax.set_title(_TITLES[images], loc="left", pad=16)
        title = f"{labels.format_name(values['dataset'].iloc[0])}, attack {effects['attack'].iloc[0]}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=8.5)
        figure.legend(handles=list(_legend()), loc="upper right", ncols=len(_COLOURS), handlelength=1.2)
        style.add_footnote(figure, _FOOTNOTE)
    return figure


def _panel(table: pd.DataFrame, estimator: str, images: str) -> pd.DataFrame:
    return table[(table["estimator"] == estimator) & (table["images"] == images)]


def _width(n_models: int) -> float:
    return _MARGIN + _MODEL_WIDTH * n_models


def _has_long_tail(values: pd.Series) -> bool:
    """Whether a logarithmic axis is needed: positive values with a long upper tail."""
    return bool(values.min() > 0 and values.max() > TAIL_RATIO * values.median())


def _annotate(ax: Axes, position: int, effect: pd.Series) -> None:
    mark = _MARKS[effect["verdict"]]
    change = effect["difference"] / effect["clean_sd"] if effect["clean_sd"] > 0 else math.nan
    text = f"{mark} {'–' if math.isnan(change) else f'{change:+.2f}'.replace('-', '−')}".strip()
    colour = style.BLACK if mark else style.GREY
    ax.text(
        position, 1.02, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=6.5, color=colour
    )


def _legend() -> Iterator[Patch]:
    for view, colour in _COLOURS.items():
        yield Patch(facecolor=colour, label=view)
