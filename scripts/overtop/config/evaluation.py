"""`evaluation` in config.yaml: calibration, rejection, selective risk, and their intervals."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Count, Model, Name


class RejectionSteps(Model):
    """Queries rejected per step under the published protocol, by direction."""

    t2i: Count = 500
    i2t: Count = 100


class BootstrapSpec(Model):
    """Bootstrap intervals: images are resampled, each with all its queries."""

    resamples: Annotated[int, Field(ge=100)] = 2000
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="confidence level of all intervals and tests"
    )
    reference: Name = Field("top1_similarity", description="estimator that all others are compared with")


class EvaluationSpec(Model):
    """Calibration, rejection, selective risk, and their intervals."""

    bins: Annotated[int, Field(ge=2)] = 10
    rejection_step: RejectionSteps = RejectionSteps()
    rejection_points: Annotated[int, Field(ge=2)] = Field(
        50, description="points of a rejection curve under `corrected`"
    )
    precision: Annotated[float, Field(gt=0, lt=1)] = Field(0.9, description="R@1 at which coverage is reported")
    bootstrap: BootstrapSpec = BootstrapSpec()
