"""`attacks` in config.yaml: how images are perturbed, and how far."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Count, Model, Name, Positive

Radius = Annotated[Positive, Field(description="radius of the L-infinity ball, in 1/255 of the range of a pixel")]


def step_length(step: float | None, epsilon: float) -> float:
    """Length of a step of projected gradient ascent, in the unit of both arguments, which is 1/255."""
    return step or min(1.0, epsilon)


class GradientAttack(Model):
    """Projected gradient ascent on the cross-entropy (`pgd`) or on the margin of the best wrong answer (`cw`)."""

    kind: Literal["pgd", "cw"] = Field(description="loss that is maximised")
    epsilon: Radius
    steps: Annotated[int, Field(ge=0)] = Field(100, description="0: uniform noise of the same size, as a control")
    step: Positive | None = Field(None, description="length of a step, in 1/255; default: min(1, epsilon)")
    restarts: Count = Field(1, description="random starts, of which the worst counts")
    early_stop: bool = Field(
        False,
        description="stop at the first wrong answer: the same accuracy, faster; not for uncertainties",
    )
    seed: int = Field(0, description="seed of the random starts")

    @property
    def step_length(self) -> float:
        """Length of a step, in 1/255."""
        return step_length(self.step, self.epsilon)


class LibraryAttack(Model):
    """Parameter-free attacks of Croce and Hein (2020), from the package `pyautoattack`."""

    kind: Literal["apgd-ce", "apgd-dlr", "apgd-t"] = Field(description="attack of the package")
    epsilon: Radius
    steps: Count = Field(100, description="steps of gradient ascent")
    restarts: Count = Field(1, description="random starts, of which the worst counts")
    seed: int = Field(0, description="seed of the random starts")


class WorstCaseAttack(Model):
    """For each image the worst of several attacks and the clean image; AutoAttack is one of these."""

    kind: Literal["worst"]
    of: Annotated[list[Name], Field(min_length=1)] = Field(description="names of other attacks")


AttackSpec = Annotated[GradientAttack | LibraryAttack | WorstCaseAttack, Field(discriminator="kind")]


def attack_epsilon(attacks: Mapping[str, AttackSpec], name: str) -> float:
    """Epsilon of an attack in 1/255; the largest of its parts for a worst case."""
    spec = attacks[name]
    return max(attack_epsilon(attacks, part) for part in spec.of) if isinstance(spec, WorstCaseAttack) else spec.epsilon
