"""`robustness` in config.yaml: encoders, attacks and data sets that are compared."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model, Name


class RobustnessSpec(Model):
    """One study, `results/robustness/NAME.{csv,md,tex}`: accuracy, calibration and uncertainty under attack."""

    models: Annotated[dict[str, Annotated[list[Name], Field(min_length=1)]], Field(min_length=1)] = Field(
        description="by display name, encoders that differ only in their seed; the first model is the undefended one"
    )
    datasets: Annotated[list[Name], Field(min_length=1)] = Field(
        description="of classes, one per image, or of captions, which images retrieve; the average is over these"
    )
    multilabel: list[Name] = Field(
        [], description="data sets with several classes per image: mAP, and precision, recall and F1 at 3"
    )
    split: Name = Field("test", description="split that is attacked")
    attacks: Annotated[list[Name], Field(min_length=1)] = Field(description="entries of `attacks`")
    baseline: str | None = Field(None, description="model that the others are compared with; default: the first")
    reference: Literal["ucat", "ucat_ablation"] | None = Field(None, description="the paper's table to compare with")
