"""`objective` of a fine-tuned encoder in config.yaml: what its training minimises."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model, Positive
from overtop.terms import DIRICHLET_TEMPERATURE


class _Objective(Model):
    pass


class PlainObjective(_Objective):
    """A published objective without settings of its own."""

    kind: Literal["tecoa", "pmg_aft", "fare", "tga", "agft"]


class UcatObjective(_Objective):
    """Cross-entropy + weight x lambda x KL(Dir(attacked) || Dir(clean, frozen)), with the published lambda."""

    kind: Literal["ucat"]
    weight: Positive = Field(1.0, description="multiplies the published lambda, 1e5 / (1 + exp(2 / 0.07))")
    form: Literal["stable", "exact"] = Field("stable", description="`exact`: digamma functions in float64")


class DirichletObjective(_Objective):
    """Ablation: as `ucat` with the reverse divergence, KL(Dir(clean, frozen) || Dir(attacked))."""

    kind: Literal["reverse_dirichlet"]
    weight: Positive = 1.0


class DivergenceObjective(_Objective):
    """Ablation: cross-entropy + weight x KL of the softmax at the temperature of the model, p being that of clean."""

    kind: Literal["kl_clean_attacked", "kl_attacked_clean"]
    weight: Positive = 1.0


class WeightedObjective(_Objective):
    """Cross-entropy + weight x w(x) KL(p_clean || p_attacked) at any temperature: what does the Dirichlet add?"""

    kind: Literal["weighted_kl"]
    weight: Positive = 1.0
    temperature: Positive = DIRICHLET_TEMPERATURE
    evidence: bool = Field(True, description="w(x) grows with the evidence, as in `ucat`; false: w(x) is constant")


ObjectiveSpec = Annotated[
    PlainObjective | UcatObjective | DirichletObjective | DivergenceObjective | WeightedObjective,
    Field(discriminator="kind"),
]
