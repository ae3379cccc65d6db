"""`cascades` in config.yaml: a cheap estimator for all queries, an expensive posterior for some."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Model, Name, PosteriorName
from overtop.terms import Protocol


class CascadeSpec(Model):
    """One study, `results/cascades/NAME/*.csv`: a cheap estimator for all queries, an expensive posterior for some."""

    dataset: Name = Field(description="data set that is measured")
    cheap: PosteriorName = Field(description="posterior of the cheap estimator")
    expensive: PosteriorName = Field(description="posterior with several samples")
    cheap_estimator: Name = Field("adversarial_exact", description="estimator that decides which queries are escalated")
    expensive_estimator: Name = Field("top1_consistency", description="estimator of escalated queries")
    protocol: Protocol = Field("corrected", description="protocol of both estimators")
    split: Name = Field("test", description="split that is measured")
    val: Name = Field("val", description="split on which both uncertainties are calibrated to one scale")
    errors: list[Annotated[float, Field(ge=0, lt=1)]] = Field(
        [0, 0.001, 0.01, 0.05, 0.1],
        description="error probabilities of the stopping rules; 0: stop when the outcome cannot change",
    )
