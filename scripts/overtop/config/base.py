"""What all sections of config.yaml share: names, numbers with bounds, and a model that rejects unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Names are parts of paths."""

POSTERIOR_PATTERN = rf"{NAME_PATTERN}(@{NAME_PATTERN})?"
"""A posterior, or a posterior with its images under an attack: `NAME@ATTACK`."""

Name = Annotated[str, Field(pattern=rf"^{NAME_PATTERN}$")]
PosteriorName = Annotated[str, Field(pattern=rf"^{POSTERIOR_PATTERN}$")]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Model(BaseModel):
    """Base of every section: unknown keys are errors, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
