"""`radius` in config.yaml: the steps of adversarial_pgd."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Count, Model


class RadiusSpec(Model):
    """Step size and number of steps of adversarial_pgd."""

    step: Annotated[float, Field(gt=0)] = Field(0.025, description="length of one step of `adversarial_pgd`")
    iterations: Count = Field(50, description="most steps of `adversarial_pgd`")
