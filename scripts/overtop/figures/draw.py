"""Draw the figures that `config.yaml` declares: select the rows, then compute the numbers and the figure."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from overtop.config.figures import (
    AttackEffectFigure,
    ConfidenceFigure,
    CurveFigure,
    ReliabilityFigure,
    SensitivityFigure,
)
from overtop.errors import OvertopError
from overtop.evaluation.scored_views import align_scores, distributions
from overtop.evaluation.selection import select_rows
from overtop.figures.attack_effects import attack_effect_figure, attack_effect_numbers
from overtop.figures.calibration import calibration_figure, calibration_numbers
from overtop.figures.cascade import cascade_figure
from overtop.figures.confidence import confidence_figure, confidence_numbers
from overtop.figures.rejection import rejection_figure, rejection_numbers
from overtop.figures.reliability import reliability_figure, reliability_numbers
from overtop.figures.robustness import robustness_figure, robustness_numbers
from overtop.figures.sensitivity import make_settings, sensitivity_figure, sensitivity_numbers
from overtop.figures.thinning import thinning_figure, thinning_numbers
from overtop.figures.training import training_figure, training_numbers
from overtop.terms import SHOWN_ESTIMATORS


def draw_cascade(curve: pd.DataFrame, spent: pd.DataFrame) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of a cascade.

    Args:
        curve: `curve.csv` of the cascade.
        spent: `spent.csv` of the cascade.
    """
    panels = {"curve": curve, "spent": spent}
    numbers = pd.concat([rows.assign(panel=name) for name, rows in panels.items()], ignore_index=True)
    return numbers, cascade_figure(curve, spent)


def draw_thinning(thinning: pd.DataFrame) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of thinned queries.

    Args:
        thinning: `results/thinning/NAME.csv`.
    """
    numbers = thinning_numbers(thinning)
    return numbers, thinning_figure(numbers)


def draw_reliability(spec: ReliabilityFigure, predictions: pd.DataFrame, place: str) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of reliability diagrams.

    Args:
        spec: which kinds of probability to show.
        predictions: as in `reliability_numbers`.
        place: named in error messages: `figures.reliability`.

    Raises:
        OvertopError: the predictions have none of the kinds of probability.
    """
    shown = select_rows(predictions, probability=spec.probabilities)
    if shown.empty:
        kinds = ", ".join(map(str, predictions["probability"].unique()))
        raise OvertopError(f"{place}.probabilities: the predictions have only {kinds}; name one of these")
    numbers = reliability_numbers(shown)
    return numbers, reliability_figure(numbers)


def draw_confidence(spec: ConfidenceFigure, bins: pd.DataFrame, place: str) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of the confidence models of a study.

    Args:
        spec: which estimators to show.
        bins: `results/transfers/NAME-bins.csv`.
        place: named in error messages: `figures.confidence`.

    Raises:
        OvertopError: none of the estimators has a model.
    """
    numbers = confidence_numbers(bins, spec.estimators, place)
    return numbers, confidence_figure(numbers)


def draw_training(logs: Iterable[tuple[str, pd.DataFrame]]) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of fine-tuning.

    Args:
        logs: names of encoders, and `results/training/NAME.csv` of each.
    """
    numbers = training_numbers(pd.concat([log.assign(encoder=name) for name, log in logs], ignore_index=True))
    return numbers, training_figure(numbers)


def draw_robustness(table: pd.DataFrame, epsilons: Mapping[str, float]) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of accuracy against epsilon.

    Args:
        table: `results/robustness/NAME.csv`.
        epsilons: of the attacks to show, by name, in 1/255.
    """
    numbers = robustness_numbers(table, epsilons)
    return numbers, robustness_figure(numbers)


def draw_attack_effect(
    spec: AttackEffectFigure,
    effects: pd.DataFrame,
    scores: Mapping[str, Mapping[str, Sequence[pd.DataFrame]]],
    place: str,
) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of what an attack does to some uncertainties.

    Args:
        spec: which of them to show.
        effects: `results/robustness/NAME-uncertainty.csv`.
        scores: for each model and view a table per encoder, from `evaluation.scored_views.read_uncertainties`.
        place: named in error messages: `figures.effects`.

    Raises:
        OvertopError: an estimator was not scored, or the scores have different images.
    """
    shown = select_rows(
        effects, dataset=spec.dataset, attack=spec.attack, estimator=spec.estimators, model=list(scores)
    )
    missing = [name for name in spec.estimators if name not in set(shown["estimator"])]
    if missing:
        raise OvertopError(f"{place}.estimators: {missing[0]!r} was not scored for {spec.dataset}; leave it out")
    parts = []
    for model, of_views in scores.items():
        views = align_scores(spec.dataset, model, of_views)
        values = distributions(views, spec.attack, spec.estimators)
        parts.append(values.assign(dataset=spec.dataset, model=model))
    values = pd.concat(parts, ignore_index=True)
    return attack_effect_numbers(values, shown), attack_effect_figure(values, shown)


def draw_curves(
    spec: CurveFigure | SensitivityFigure,
    curves: pd.DataFrame,
    metrics: pd.DataFrame,
    dropout: Mapping[str, Mapping[str, float]],
    place: str,
) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of calibration curves, rejection curves, or calibration under several settings.

    Args:
        spec: which rows to show, and how.
        curves: curves of all methods of the figure's posteriors.
        metrics: metrics of the same methods.
        dropout: `rate` and `passes` of each posterior of a sensitivity figure.
        place: named in error messages: `figures.figure1`.

    Raises:
        OvertopError: no curve matches `spec`, or the figure cannot be drawn from the selected rows.
    """
    estimators = [spec.estimator] if isinstance(spec, SensitivityFigure) else _shown_estimators(spec, curves)
    curves, metrics = (
        select_rows(
            rows,
            protocol=spec.protocol,
            positives=spec.positives,
            binning=spec.binning if "binning" in rows else None,
            estimator=estimators,
            posterior=[] if isinstance(spec, SensitivityFigure) else spec.posteriors,
        )
        for rows in (curves, metrics)
    )
    if curves.empty:
        raise OvertopError(f"{place}: no rows; name estimators, a protocol and positives that were evaluated")
    if isinstance(spec, SensitivityFigure):
        settings = make_settings(spec.rates, spec.passes, dropout)
        return sensitivity_numbers(curves, metrics, settings), sensitivity_figure(curves, metrics, settings)
    if spec.kind == "calibration":
        return calibration_numbers(curves, metrics), calibration_figure(curves, metrics)
    return rejection_numbers(curves, metrics), rejection_figure(curves, metrics)


def _shown_estimators(spec: CurveFigure, curves: pd.DataFrame) -> list[str]:
    """The declared estimators, by default `SHOWN_ESTIMATORS`; all if there is none of these."""
    return spec.estimators or [name for name in SHOWN_ESTIMATORS if (curves["estimator"] == name).any()]
