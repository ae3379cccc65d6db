"""What a robustness study consists of: its views, the attacks behind them, and what its models were trained for."""

from collections.abc import Sequence
from typing import NamedTuple

from overtop.config.attacks import AttackSpec, GradientAttack, WorstCaseAttack, attack_epsilon
from overtop.config.base import NAME_PATTERN
from overtop.config.figures import RobustnessFigure
from overtop.config.model import Config
from overtop.config.robustness import RobustnessSpec
from overtop.pipeline import paths
from overtop.terms import CLEAN

RESERVED_ENDINGS = ("-calibration", "-checks", "-uncertainty")
"""Ends of the names of files that belong to a study, with which the name of a study cannot end."""

STUDY_PATTERN = NAME_PATTERN + "".join(f"(?<!{ending})" for ending in RESERVED_ENDINGS)
"""The name of a study in paths."""

UNDEFENDED = "clip"
"""The method of `reference.ucat` that an encoder without fine-tuning is."""

PAPER_EPSILON = 1.0
"""Epsilon that the paper's models of its main table are trained against, in 1/255."""


class StudyView(NamedTuple):
    """One encoder of a model on one data set, with clean images (`CLEAN`) or under an attack."""

    dataset: str
    model: str
    view: str
    encoder: str

    @property
    def posterior(self) -> str:
        """The posterior with these images."""
        return self.encoder if self.view == CLEAN else f"{self.encoder}@{self.view}"


def study_views(spec: RobustnessSpec, datasets: Sequence[str], attacks: Sequence[str]) -> list[StudyView]:
    """Every encoder of a study on some data sets, clean and under some attacks: data set by data set."""
    return [
        StudyView(dataset, model, view, encoder)
        for dataset in datasets
        for model, encoders in spec.models.items()
        for view in (CLEAN, *attacks)
        for encoder in encoders
    ]


def multilabel_attacks(config: Config, spec: RobustnessSpec) -> list[str]:
    """Attacks of a study that images with several labels allow: those of the library take one label."""
    return [name for name in spec.attacks if _allows_several_labels(config, config.attacks[name])]


def study_attacks(config: Config, spec: RobustnessSpec) -> dict[str, AttackSpec]:
    """The attacks of a study and those that its worst cases consist of, by name."""
    names = list(spec.attacks)
    for name in names:
        attack = config.attacks[name]
        names += [part for part in getattr(attack, "of", ()) if part not in names]
    return {name: config.attacks[name] for name in names}


def early_stopped_attacks(config: Config, spec: RobustnessSpec) -> list[str]:
    """Attacks of a study that stop at the first wrong answer, or are a worst case over such attacks."""
    return [name for name in spec.attacks if _stops_early(config, name)]


def shown_epsilons(config: Config, figure: RobustnessFigure) -> dict[str, float]:
    """The attacks of a figure and their epsilon in 1/255.

    They are those named, otherwise the largest group of attacks of the study with the same kind and number of steps.
    """
    groups: dict[tuple[str, int], list[str]] = {}
    for name in config.robustness[figure.robustness].attacks:
        attack = config.attacks[name]
        groups.setdefault((attack.kind, getattr(attack, "steps", 0)), []).append(name)
    names = figure.attacks or max(groups.values(), key=len)
    return {name: attack_epsilon(config.attacks, name) for name in names}


def hits_file(config: Config, spec: RobustnessSpec, view: StudyView) -> str:
    """The file with the hits of a view: predictions of classes, or scores of images that retrieve captions."""
    is_classes = config.stored_dataset(view.dataset).kind == "classes"
    pattern = paths.PREDICTIONS if is_classes else paths.SCORES
    return pattern.format(dataset=view.dataset, split=spec.split, posterior=view.posterior)


def training_epsilons(config: Config, spec: RobustnessSpec) -> list[float]:
    """Every epsilon that an encoder of a study was trained against, in 1/255."""
    encoders = (config.encoders[name] for names in spec.models.values() for name in names)
    return sorted({encoder.finetune.attack.epsilon for encoder in encoders if encoder.finetune is not None})


def paper_objectives(config: Config, spec: RobustnessSpec) -> dict[str, str | None]:
    """By model the objective of the method of the paper that it repeats; None for models that are not in the paper."""
    return {model: _paper_objective(config, names[0]) for model, names in spec.models.items()}


def _paper_objective(config: Config, encoder: str) -> str | None:
    finetune = config.encoders[encoder].finetune
    if finetune is None:
        return UNDEFENDED
    is_published = finetune.attack.epsilon == PAPER_EPSILON and getattr(finetune.objective, "weight", 1.0) == 1.0
    return finetune.objective.kind if is_published else None


def _stops_early(config: Config, name: str) -> bool:
    attack = config.attacks[name]
    if isinstance(attack, WorstCaseAttack):
        return any(_stops_early(config, part) for part in attack.of)
    return isinstance(attack, GradientAttack) and attack.early_stop


def _allows_several_labels(config: Config, attack: AttackSpec) -> bool:
    if isinstance(attack, WorstCaseAttack):
        return all(_allows_several_labels(config, config.attacks[name]) for name in attack.of)
    return isinstance(attack, GradientAttack)
