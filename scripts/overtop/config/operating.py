"""`operating` in config.yaml: thresholds chosen on one split and applied on another."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Model, Name


class OperatingSpec(Model):
    """Thresholds chosen on one split and applied on another."""

    val: Name = Field("val", description="split on which thresholds are chosen")
    precisions: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)] = Field(
        [0.8, 0.9, 0.95], description="target values of R@1"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="probability with which the precision is guaranteed"
    )
