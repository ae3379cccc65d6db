"""`objective` of a fine-tuned encoder in config.yaml: what its training minimises."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model, Positive
from overtop.terms import DIRICHLET_TEMPERATURE


class PlainObjective(Model):
    """A published objective without settings of its own."""

    kind: Literal["tecoa", "pmg_aft", "fare", "tga"] = Field(description="the objective")


class AgftObjective(Model):
    """Cross-entropy with the sharpness-reduced predictions of the frozen encoder on the clean image."""

    kind: Literal["agft"]
    scale: Positive = Field(180.0, description="logit scale of the student; that of the teacher is 0.4 times as large")


class UcatObjective(Model):
    """Cross-entropy + weight x lambda x KL(Dir(attacked) || Dir(clean, frozen)), with the published lambda."""

    kind: Literal["ucat"]
    weight: Positive = Field(1.0, description="multiplies the published lambda, 1e5 / (1 + exp(2 / 0.07))")
    form: Literal["stable", "exact"] = Field("stable", description="`exact`: digamma functions in float64")


class DirichletObjective(Model):
    """Ablation: as `ucat` with the reverse divergence, KL(Dir(clean, frozen) || Dir(attacked))."""

    kind: Literal["reverse_dirichlet"]
    weight: Positive = Field(1.0, description="multiplies the published lambda, as for `ucat`")
    form: Literal["stable", "exact"] = Field("stable", description="`exact`: digamma functions in float64")


class DivergenceObjective(Model):
    """Ablation: cross-entropy + weight x KL of the softmax at the temperature of the model.

    `kl_clean_attacked`: KL(p || p_a), `kl_attacked_clean`: KL(p_a || p). p is the prediction of the frozen encoder for
    the clean image, p_a that of the trained one for the attacked image.
    """

    kind: Literal["kl_clean_attacked", "kl_attacked_clean"] = Field(description="direction of the divergence")
    weight: Positive = Field(1.0, description="weight of the divergence")


class WeightedObjective(Model):
    """Cross-entropy + weight x w(x) KL(p_clean || p_attacked) at any temperature: what does the Dirichlet add?"""

    kind: Literal["weighted_kl"]
    weight: Positive = Field(1.0, description="multiplies w(x); at temperature 0.07 with evidence this is `ucat`")
    temperature: Positive = Field(DIRICHLET_TEMPERATURE, description="of both softmaxes; w(x) does not depend on it")
    evidence: bool = Field(
        True, description="w(x): the evidence of the clean image, as in `ucat`; false: its mean over the batch"
    )


ObjectiveSpec = Annotated[
    PlainObjective | AgftObjective | UcatObjective | DirichletObjective | DivergenceObjective | WeightedObjective,
    Field(discriminator="kind"),
]
