"""Checks of the entries of figures in config.yaml against its other sections."""

from collections.abc import Iterator

from overtop.config.figures import (
    AttackEffectFigure,
    BankFigure,
    CascadeFigure,
    ConfidenceFigure,
    CurveFigure,
    FigureSpec,
    ReliabilityFigure,
    RobustnessFigure,
    SensitivityFigure,
    ThinningFigure,
    TrainingFigure,
)
from overtop.config.model import Config
from overtop.config.posteriors import McDropout
from overtop.errors import did_you_mean
from overtop.pipeline.banks import check_bank_exists, check_bank_source
from overtop.pipeline.name_checks import (
    check_combinations,
    check_estimators,
    check_name,
    check_not_variant,
    check_protocols,
    check_split,
    has_stored_dataset,
)
from overtop.terms import BANK_ESTIMATORS, ESTIMATORS


def check_figure(config: Config, key: str, figure: FigureSpec) -> Iterator[str]:
    """One line per mistake in the entry of a figure, which is at `key`."""
    match figure:
        case RobustnessFigure():
            yield from _check_robustness_figure(config, key, figure)
        case AttackEffectFigure():
            yield from _check_attack_effect_figure(config, key, figure)
        case CascadeFigure():
            yield from check_name(f"{key}.cascade", "cascade", figure.cascade, config.cascades)
        case SensitivityFigure():
            yield from _check_sensitivity_figure(config, key, figure)
        case ThinningFigure():
            yield from _check_thinning_figure(config, key, figure)
        case BankFigure():
            yield from _check_bank_figure(config, key, figure)
        case ReliabilityFigure():
            yield from _check_reliability_figure(config, key, figure)
        case TrainingFigure():
            yield from _check_training_figure(config, key, figure)
        case ConfidenceFigure():
            yield from _check_confidence_figure(config, key, figure)
        case CurveFigure():
            yield from _check_curve_figure(config, key, figure)


def _check_robustness_figure(config: Config, key: str, figure: RobustnessFigure) -> Iterator[str]:
    yield from check_name(f"{key}.robustness", "robustness study", figure.robustness, config.robustness)
    if figure.robustness in config.robustness:
        for name in figure.attacks:
            attacks = config.robustness[figure.robustness].attacks
            yield from check_name(f"{key}.attacks", "attack of the study", name, attacks)


def _check_attack_effect_figure(config: Config, key: str, figure: AttackEffectFigure) -> Iterator[str]:
    yield from check_name(f"{key}.robustness", "robustness study", figure.robustness, config.robustness)
    study = config.robustness.get(figure.robustness)
    if study is None:
        return
    yield from check_name(f"{key}.dataset", "data set of the study", figure.dataset, study.datasets)
    yield from check_name(f"{key}.attack", "attack of the study", figure.attack, study.attacks)
    for model in figure.models:
        yield from check_name(f"{key}.models", "model of the study", model, study.models)
    for name in figure.estimators:  # those that are not configured are left out, as in figures of a table
        yield from check_name(f"{key}.estimators", "estimator", name, ESTIMATORS)
    if set(figure.estimators).isdisjoint(config.estimators):
        yield f"{key}.estimators: none of them is configured; add one of them to `estimators`"


def _check_curve_figure(config: Config, key: str, figure: CurveFigure) -> Iterator[str]:
    yield from check_name(f"{key}.table", "table", figure.table, config.tables)
    table = config.tables.get(figure.table)
    if table is None:
        return
    for name in figure.posteriors:
        yield from check_name(f"{key}.posteriors", f"posterior of table {figure.table!r}", name, table.posteriors)
    # An estimator that is removed from `estimators` disappears from figures as well, without further edits.
    available = table.estimators or ESTIMATORS
    for name in figure.estimators:
        if name not in available:
            yield f"{key}.estimators: table {figure.table!r} has no {name!r}; {did_you_mean(name, available)}"
    if figure.estimators and set(figure.estimators).isdisjoint(config.estimators):
        yield f"{key}.estimators: none of them is configured; add one of them to `estimators`"
    # Likewise those that need a bank, unless there is nothing else to draw.
    if set(figure.estimators) <= set(BANK_ESTIMATORS):
        yield from check_bank_exists(config, f"{key}.estimators", figure.estimators, table.datasets, [table.split])
    yield from check_protocols(f"{key}.estimators", figure.estimators, [figure.protocol])
    for name, values in (
        ("protocol", table.protocols),
        ("binning", table.binnings),
        ("positives", table.positives),
    ):
        if getattr(figure, name) not in values:
            yield f"{key}.{name}: table {figure.table!r} has only {', '.join(values)}"


def _check_sensitivity_figure(config: Config, key: str, figure: SensitivityFigure) -> Iterator[str]:
    if not figure.posteriors():
        yield f"{key}: nothing to draw; name posteriors under `rates` or `passes`"
    yield from check_estimators(config, f"{key}.estimator", [figure.estimator])
    yield from check_bank_exists(config, f"{key}.estimator", [figure.estimator], [figure.dataset], [figure.split])
    yield from check_protocols(f"{key}.estimator", [figure.estimator], [figure.protocol])
    yield from check_split(config, key, figure.dataset, figure.split)
    for name in figure.posteriors():
        yield from check_name(key, "posterior", name, config.posteriors)
        posterior = config.posteriors.get(name)
        if posterior is None:
            continue
        if not isinstance(posterior, McDropout):
            yield f"{key}: posterior {name!r} has no rate and no passes; name posteriors of kind mc_dropout"
        elif figure.protocol not in posterior.protocols:
            yield f"{key}.protocol: posterior {name!r} is evaluated only under {', '.join(posterior.protocols)}"


def _check_thinning_figure(config: Config, key: str, figure: ThinningFigure) -> Iterator[str]:
    for name in figure.estimators:  # those that are not scored are left out, as in figures of a table
        yield from check_name(f"{key}.estimators", "estimator", name, ESTIMATORS)
    yield from check_name(f"{key}.posterior", "posterior", figure.posterior, config.posteriors)
    posterior = config.posteriors.get(figure.posterior)
    if posterior is not None and "corrected" not in posterior.protocols:
        yield f"{key}.posterior: {figure.posterior!r} is for another protocol than corrected"
    yield from check_split(config, key, figure.dataset, figure.split)
    if figure.dataset in config.datasets:
        yield from check_combinations(config, key, figure.dataset, [figure.posterior])
        if figure.val is not None:
            yield from check_split(config, key, figure.dataset, figure.val)


def _check_bank_figure(config: Config, key: str, figure: BankFigure) -> Iterator[str]:
    yield from check_name(f"{key}.posterior", "posterior", figure.posterior, config.posteriors)
    yield from check_split(config, key, figure.dataset, figure.split)
    yield from check_not_variant(config, f"{key}.dataset", figure.dataset)
    if figure.dataset not in config.datasets:
        return
    yield from check_combinations(config, key, figure.dataset, [figure.posterior])
    if figure.foreign is not None:
        yield from check_bank_source(config, f"{key}.foreign", figure.dataset, figure.foreign)


def _check_reliability_figure(config: Config, key: str, figure: ReliabilityFigure) -> Iterator[str]:
    yield from check_name(f"{key}.robustness", "robustness study", figure.robustness, config.robustness)
    study = config.robustness.get(figure.robustness)
    if study is None:
        return
    stored = [name for name in (*study.datasets, *study.multilabel) if has_stored_dataset(config, name)]
    classified = [name for name in stored if config.stored_dataset(name).kind == "classes"]
    yield from check_name(f"{key}.dataset", "data set of classes in the study", figure.dataset, classified)
    yield from check_name(f"{key}.attack", "attack of the study", figure.attack, study.attacks)
    for name in figure.models:
        yield from check_name(f"{key}.models", "model of the study", name, study.models)


def _check_training_figure(config: Config, key: str, figure: TrainingFigure) -> Iterator[str]:
    finetuned = [name for name, spec in config.encoders.items() if spec.finetune]
    for name in figure.encoders:
        if name in config.encoders and name not in finetuned:
            yield f"{key}.encoders: {name!r} is not fine-tuned; name encoders with `finetune`"
        else:
            yield from check_name(f"{key}.encoders", "fine-tuned encoder", name, finetuned)


def _check_confidence_figure(config: Config, key: str, figure: ConfidenceFigure) -> Iterator[str]:
    yield from check_name(f"{key}.transfer", "transfer study", figure.transfer, config.transfers)
    if study := config.transfers.get(figure.transfer):
        for name in figure.estimators:
            yield from check_name(f"{key}.estimators", "estimator of the study", name, study.estimators)
