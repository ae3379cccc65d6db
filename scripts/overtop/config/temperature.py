"""`temperature` in config.yaml: temperatures of the softmax over the gallery."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model, Name
from overtop.terms import DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE


class TemperatureSpec(Model):
    """Temperatures of the softmax over the gallery."""

    softmax: Annotated[float, Field(gt=0)] | Literal["fitted"] = Field(
        SOFTMAX_TEMPERATURE,
        description="temperature of entropy, max_softmax and energy; `fitted`: maximum likelihood on `fit_split`",
    )
    dirichlet: Annotated[float, Field(gt=0)] = Field(
        DIRICHLET_TEMPERATURE, description="temperature of the Dirichlet estimators"
    )
    fit_split: Name = Field("val", description="split that a fitted temperature is fitted on")
