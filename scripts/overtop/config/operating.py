"""`operating` in config.yaml: confidence models and thresholds, fitted on one split and applied to other queries."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Model, Name
from overtop.terms import MappingName


class OperatingSpec(Model):
    """Confidence models and thresholds, fitted on one split and applied to other queries."""

    val: Name = Field("val", description="split on which thresholds are chosen")
    precisions: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)] = Field(
        [0.8, 0.9, 0.95], description="target values of R@1"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="probability of each guarantee")
    estimator: Name | None = Field(
        None,
        description="estimator of confidence models; default: `bank_nnn` with a bank, otherwise `max_softmax`; `auto`: "
        "the one with the smallest cross-validated NLL",
    )
    mapping: MappingName = Field(
        "auto", description="from uncertainty to the probability of a hit; `auto`: the smallest cross-validated NLL"
    )
