"""What all sections of config.yaml share: names, numbers with bounds, and a model that rejects unknown keys."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Names are parts of paths."""

POSTERIOR_PATTERN = rf"{NAME_PATTERN}(@{NAME_PATTERN})?"
"""A posterior, or a posterior with its images under an attack: `NAME@ATTACK`."""


def _check_repository(name: str) -> str:
    """The rules of the hub that its pattern does not cover."""
    ends = [part[end] for part in name.split("/") for end in (0, -1)]
    if (
        len(name) > 96
        or not name.isascii()
        or "--" in name
        or ".." in name
        or name.endswith(".git")
        or {*ends} & {*"-."}
    ):
        raise ValueError(
            "no name of a repository on the hub: at most 96 ASCII characters, no `--`, no `..`, no `.git` at the end, "
            "and no `-` or `.` at an end of OWNER or NAME"
        )
    return name


Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$"), AfterValidator(_check_repository)]
"""OWNER/NAME on the Hugging Face hub."""

Name = Annotated[str, Field(pattern=rf"^{NAME_PATTERN}$")]
PosteriorName = Annotated[str, Field(pattern=rf"^{POSTERIOR_PATTERN}$")]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Model(BaseModel):
    """Base of every section: unknown keys are errors, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
