"""`evaluation` in config.yaml: calibration, rejection, selective risk, and their intervals."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Count, Model, Name


class RejectionSteps(Model):
    """Queries rejected per step under the published protocol, by direction."""

    t2i: Count = Field(500, description="captions that are rejected at a time")
    i2t: Count = Field(100, description="images that are rejected at a time")


class BootstrapSpec(Model):
    """Bootstrap intervals: images are resampled, each with all its queries."""

    resamples: Annotated[int, Field(ge=100)] = Field(2000, description="resamples of the images")
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="confidence level of all intervals and tests"
    )
    reference: Name = Field("top1_similarity", description="estimator that all others are compared with")


class EvaluationSpec(Model):
    """Calibration, rejection, selective risk, and their intervals."""

    bins: Annotated[int, Field(ge=2)] = Field(10, description="levels of uncertainty for calibration")
    rejection_step: RejectionSteps = Field(RejectionSteps(), description="queries rejected at a time under `published`")
    rejection_points: Annotated[int, Field(ge=2)] = Field(
        50, description="points of a rejection curve under `corrected`"
    )
    precision: Annotated[float, Field(gt=0, lt=1)] = Field(0.9, description="R@1 at which coverage is reported")
    bootstrap: BootstrapSpec = Field(BootstrapSpec(), description="intervals and tests")
