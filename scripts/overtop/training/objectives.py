"""Objectives of adversarial fine-tuning: what the image tower minimises, and what the attack within it maximises.

`objective_terms` has the functions and their notation, `objective_inputs` what they are computed from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from overtop.config.objectives import ObjectiveSpec
from overtop.reference.citations import AGFT, MAO, SCHLARMANN, UCAT, WANG, YU, Citation
from overtop.training import objective_terms
from overtop.training.objective_inputs import Need, ObjectiveInputs
from overtop.training.objective_terms import Terms

_PASSES: dict[Need, tuple[str, int]] = {
    "clean": ("trained tower on clean images, with backward", 3),
    "reference_clean": ("frozen tower on clean images", 1),
    "reference_adversarial": ("frozen tower on attacked images", 1),
}
"""Description of each pass, and its cost in forward passes: a backward pass to the weights costs two, to pixels one."""


@dataclass(frozen=True)
class Definition:
    """The properties of an objective that do not depend on its settings.

    Attributes:
        equation: Markdown, in the notation of `objective_terms`.
        citation: publication that defines it.
        published: optimizer and learning rate of its release, and the attack where it is known.
        terms: `(inputs, spec) -> terms`.
        attack_loss: `(embeddings, inputs, spec) -> (B,)`.
        needs: passes besides that of the trained tower over the attacked images.
    """

    equation: str
    citation: Citation
    published: str
    terms: Callable[[ObjectiveInputs, Any], Terms]
    attack_loss: Callable[[torch.Tensor, ObjectiveInputs, Any], torch.Tensor] = objective_terms.class_losses
    needs: frozenset[Need] = frozenset({"reference_clean"})


_CE = "CE(z(xₐ), y)"
_UCAT_SETTINGS = "SGD 1e-4, PGD-2"
DEFINITIONS = {
    "tecoa": Definition(
        equation=_CE, citation=MAO, published="SGD 1e-5", terms=objective_terms.tecoa, needs=frozenset()
    ),
    "pmg_aft": Definition(
        equation=f"{_CE} + Σ KL(p₀(xₐ) ‖ p(xₐ)) + Σ KL(p(x) ‖ p(xₐ)), sums over the batch",
        citation=WANG,
        published="SGD 5e-5",
        terms=objective_terms.pmg_aft,
        needs=frozenset({"clean", "reference_adversarial"}),
    ),
    "fare": Definition(
        equation="‖f(xₐ) - f₀(x)‖²",
        citation=SCHLARMANN,
        published="AdamW 1e-5, weight decay 1e-4, PGD-10",
        terms=objective_terms.fare,
        attack_loss=objective_terms.squared_distances,
    ),
    "tga": Definition(
        equation=f"{_CE} + 0.08 ‖A(xₐ) - A₀(x)‖₂ + 0.05 ‖A(x) - A₀(x)‖₂",
        citation=YU,
        published="SGD 1e-4",
        terms=objective_terms.tga,
        needs=frozenset({"clean", "reference_clean", "maps"}),
    ),
    "ucat": Definition(
        equation=f"{_CE} + λ KL(Dir(α(xₐ)) ‖ Dir(α₀(x)))",
        citation=UCAT,
        published=_UCAT_SETTINGS,
        terms=objective_terms.ucat,
    ),
    "agft": Definition(
        equation="-Σ q ln softmax(180 s(xₐ)), q = softmax(72 s₀(x))",
        citation=AGFT,
        published="SGD 4e-4, PGD-2",
        terms=objective_terms.agft,
        attack_loss=objective_terms.soft_label_losses,
    ),
    "kl_clean_attacked": Definition(
        equation=f"{_CE} + KL(p₀(x) ‖ p(xₐ))",
        citation=UCAT,
        published=_UCAT_SETTINGS,
        terms=objective_terms.kl_clean_attacked,
    ),
    "kl_attacked_clean": Definition(
        equation=f"{_CE} + KL(p(xₐ) ‖ p₀(x))",
        citation=UCAT,
        published=_UCAT_SETTINGS,
        terms=objective_terms.kl_attacked_clean,
    ),
    "reverse_dirichlet": Definition(
        equation=f"{_CE} + λ KL(Dir(α₀(x)) ‖ Dir(α(xₐ)))",
        citation=UCAT,
        published=_UCAT_SETTINGS,
        terms=objective_terms.reverse_dirichlet,
    ),
    "weighted_kl": Definition(
        equation=f"{_CE} + w(x) KL(p₀(x) ‖ p(xₐ)) at any temperature, w = λ Σ exp((s₀(x) + 1) / 0.07) or constant",
        citation=UCAT,
        published="none (by overtop)",
        terms=objective_terms.weighted_kl,
    ),
}
"""The objectives by their kind in config.yaml."""


@dataclass(frozen=True)
class Objective:
    """An objective with its settings: the entry in config.yaml.

    >>> from overtop.config.objectives import UcatObjective
    >>> objective = Objective(UcatObjective(kind="ucat", weight=0.01))
    >>> unit = torch.eye(3)
    >>> inputs = ObjectiveInputs(torch.arange(3), unit, scale=2.0, adversarial=2 * unit, reference_clean=unit)
    >>> {name: round(term.item(), 3) for name, term in objective.terms(inputs).items()}
    {'cross_entropy': 0.24, 'kl_dirichlet': 0.0}
    """

    spec: ObjectiveSpec

    @property
    def needs(self) -> frozenset[Need]:
        """Passes besides that of the trained tower over the attacked images; see `Need`."""
        return DEFINITIONS[self.spec.kind].needs

    def terms(self, inputs: ObjectiveInputs) -> Terms:
        """The terms whose sum is the loss, each a weighted scalar; the first fits the data, the others regularise.

        Autocast is off inside: cosines in bfloat16 have errors of 1e-3, CLIP's logits of 0.1.
        """
        with torch.autocast(inputs.texts.device.type, enabled=False):
            return DEFINITIONS[self.spec.kind].terms(inputs, self.spec)

    def attack_loss(self, embeddings: torch.Tensor, inputs: ObjectiveInputs) -> torch.Tensor:
        """What the attack within training maximises, one value for each image.

        The cross-entropy of the true class; for `fare` and `agft`, which use no labels, their own loss.

        Args:
            embeddings: (B, D) of the images under attack by the trained tower, un-normalised.
            inputs: with `labels`, `texts`, `scale`, and `reference_clean` if the objective needs it; no more is read.

        Returns:
            (B,).
        """
        with torch.autocast(inputs.texts.device.type, enabled=False):
            return DEFINITIONS[self.spec.kind].attack_loss(embeddings, inputs, self.spec)


def build_objective(spec: ObjectiveSpec) -> Objective:
    """The objective of an entry in config.yaml."""
    return Objective(spec)


def step_cost(needs: frozenset[Need], attack_steps: int = 2) -> int:
    """Cost of a training step with its attack, in forward passes of the image tower over the batch."""
    attacked = 2 * attack_steps + 3
    return attacked + sum(cost for need, (_, cost) in _PASSES.items() if need in needs)


def objectives_table() -> str:
    """The objectives as a Markdown table, one row each, followed by a list of the publications they cite.

    Columns: objective, loss, further passes (besides the attack and the trained tower on attacked images), cost (of a
    step with two steps of attack, relative to `tecoa`), published settings, source.
    """
    lines = ["| objective | loss | further passes | cost | published settings | source |", "|---|---|---|---|---|---|"]
    for kind, definition in DEFINITIONS.items():
        passes = "; ".join(text for need, (text, _) in _PASSES.items() if need in definition.needs) or "-"
        cost = step_cost(definition.needs) / step_cost(frozenset())
        columns = (definition.equation, passes, f"{cost:.2f}", definition.published, definition.citation.short)
        lines.append(f"| `{kind}` | {' | '.join(columns)} |")
    citations = dict.fromkeys(definition.citation for definition in DEFINITIONS.values())
    return "\n".join([*lines, "", *(f"- {citation.short}: {citation.full}" for citation in citations)])
