"""`radius` in config.yaml: the steps of adversarial_pgd."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Count, Model


class RadiusSpec(Model):
    """The walk of adversarial_pgd."""

    step: Annotated[float, Field(gt=0)] = 0.025
    iterations: Count = 50
