"""Sanity checks of attacks: signs that an attack is too weak, or broken, so that a robust accuracy would mean little.

They follow Carlini et al. (2019), On Evaluating Adversarial Robustness, Sec. 4 and 5.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from overtop.config.attacks import AttackSpec, WorstCaseAttack, attack_epsilon
from overtop.evaluation.robustness import DatasetHits
from overtop.terms import CLEAN

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"

NEAR_ZERO = 0.05
"""Accuracy that the strongest attack may leave an undefended model, at an epsilon that others were trained against."""

ACCURACY_TOLERANCE = 0.005
"""How much a stronger attack may leave more right: attacks are not exact, and the last images are close to a border."""

BALL_TOLERANCE = 1e-3
"""How far, in 1/255, a perturbation may exceed epsilon by rounding in float32."""

CHECKS = {
    "undefended": "the undefended model falls to near 0 at the training epsilon",
    "epsilon": "accuracy does not rise with epsilon",
    "ball": "no perturbation leaves the epsilon ball or the range of a pixel",
    "steps": "more steps never help the defender",
    "worst_case": "no image is right in the worst case and wrong under one of its attacks",
}
"""Every check, and what it requires."""

COLUMNS = ["check", "dataset", "model", "result", "detail"]
"""Columns of the table of checks."""


@dataclass(frozen=True)
class Perturbations:
    """What the files of one attack on one model record.

    Attributes:
        largest: largest absolute change of a pixel, in 1/255.
        pixel_min: smallest value of a perturbed pixel; the range of a pixel is [0, 1].
        pixel_max: largest value of a perturbed pixel.
    """

    largest: float
    pixel_min: float
    pixel_max: float


@dataclass(frozen=True)
class AttackedModel:
    """One model on one data set, under all attacks of a study.

    Attributes:
        hits: (S, n) bool by view, for its S encoders.
        specs: attacks by name; views that are attacks have one.
        perturbations: by name of the attack.
        training_epsilons: that models of the study were trained against, in 1/255.
    """

    hits: Mapping[str, np.ndarray]
    specs: Mapping[str, AttackSpec]
    perturbations: Mapping[str, Perturbations]
    training_epsilons: frozenset[float]

    def accuracy(self, view: str) -> float:
        """Share of right answers, over all encoders."""
        return float(self.hits[view].mean())

    def attacks(self) -> list[str]:
        """Views that are attacks."""
        return [view for view in self.hits if view != CLEAN]


class _Finding(NamedTuple):
    """One thing that was looked at: whether it is as it should be, and the numbers."""

    passed: bool
    detail: str


def check_attacks(
    datasets: Sequence[DatasetHits],
    specs: Mapping[str, AttackSpec],
    perturbations: Mapping[tuple[str, str, str], Perturbations],
    training_epsilons: frozenset[float],
    undefended: str,
) -> pd.DataFrame:
    """Apply all `CHECKS` to every model on every data set.

    Args:
        datasets: hits of all models in all views.
        specs: the attacks by name, those that a worst case is made of included.
        perturbations: by data set, model and attack.
        training_epsilons: that models were trained against, in 1/255.
        undefended: the model that was not.

    Returns:
        Columns `COLUMNS`, a row per check, data set and model. `result` is `PASSED`, `FAILED` or `NOT_APPLICABLE`;
        `detail` has the numbers: all that are wrong of a failed check, all of a passed one.
    """
    rows = []
    for check, findings in _FUNCTIONS.items():
        for each in datasets:
            models = [undefended] if check == "undefended" else dict.fromkeys(model for model, _ in each.hits)
            for model in models:
                attacked = AttackedModel(
                    {view: hits for (name, view), hits in each.hits.items() if name == model},
                    specs,
                    {key[2]: value for key, value in perturbations.items() if key[:2] == (each.dataset, model)},
                    training_epsilons,
                )
                rows.append((check, each.dataset, model, *_judge(list(findings(attacked)))))
    return pd.DataFrame(rows, columns=COLUMNS)


def _judge(findings: Sequence[_Finding]) -> tuple[str, str]:
    """Result and detail of a check."""
    if not findings:
        return NOT_APPLICABLE, "no attacks to compare, or a clean accuracy near 0"
    wrong = [finding.detail for finding in findings if not finding.passed]
    return (FAILED, "; ".join(wrong)) if wrong else (PASSED, "; ".join(finding.detail for finding in findings))


def _check_undefended(model: AttackedModel) -> Iterator[_Finding]:
    for epsilon in sorted(model.training_epsilons):
        names = [name for name in model.attacks() if attack_epsilon(model.specs, name) == epsilon]
        if names and model.accuracy(CLEAN) > NEAR_ZERO:
            strongest = min(names, key=model.accuracy)
            accuracy = model.accuracy(strongest)
            yield _Finding(accuracy <= NEAR_ZERO, f"{strongest} (epsilon {epsilon:g}/255) leaves {accuracy:.1%}")


def _check_epsilon(model: AttackedModel) -> Iterator[_Finding]:
    for names in _families(model, ("epsilon", "step", "seed")):
        by_epsilon = sorted(names, key=lambda name: attack_epsilon(model.specs, name))
        yield from _compare_in_order(model, [CLEAN, *by_epsilon])


def _check_steps(model: AttackedModel) -> Iterator[_Finding]:
    for names in _families(model, ("steps", "seed")):
        yield from _compare_in_order(model, sorted(names, key=lambda name: _field(model.specs[name], "steps")))


def _check_ball(model: AttackedModel) -> Iterator[_Finding]:
    for name in model.attacks():
        found, epsilon = model.perturbations.get(name), attack_epsilon(model.specs, name)
        if found is not None:
            inside = found.largest <= epsilon + BALL_TOLERANCE and found.pixel_min >= 0 and found.pixel_max <= 1
            detail = f"{name}: at most {found.largest:.4g}/255 of {epsilon:g}/255"
            yield _Finding(inside, f"{detail}, pixels in [{found.pixel_min:.4g}, {found.pixel_max:.4g}]")


def _check_worst_case(model: AttackedModel) -> Iterator[_Finding]:
    for name in model.attacks():
        spec = model.specs[name]
        if isinstance(spec, WorstCaseAttack):
            for view in [CLEAN, *(part for part in spec.of if part in model.hits)]:
                survivors = int((model.hits[name] & ~model.hits[view]).sum())
                yield _Finding(not survivors, f"{survivors} right under {name} and wrong under {view}")


_FUNCTIONS: dict[str, Callable[[AttackedModel], Iterator[_Finding]]] = {
    "undefended": _check_undefended,
    "epsilon": _check_epsilon,
    "ball": _check_ball,
    "steps": _check_steps,
    "worst_case": _check_worst_case,
}
"""The function of every check."""


def _compare_in_order(model: AttackedModel, views: Sequence[str]) -> Iterator[_Finding]:
    """The accuracy of each view must not exceed that of the view before it."""
    for weaker, stronger in pairwise(views):
        before, after = model.accuracy(weaker), model.accuracy(stronger)
        yield _Finding(after <= before + ACCURACY_TOLERANCE, f"{weaker} {before:.1%}, {stronger} {after:.1%}")


def _families(model: AttackedModel, varied: tuple[str, ...]) -> list[list[str]]:
    """Attacks that differ only in the fields `varied`."""
    families: dict[str, list[str]] = {}
    for name in model.attacks():
        spec = model.specs[name]
        if not isinstance(spec, WorstCaseAttack):
            families.setdefault(repr(spec.model_copy(update=dict.fromkeys(varied))), []).append(name)
    return list(families.values())


def _field(spec: AttackSpec, name: str) -> int:
    return int(getattr(spec, name))
