"""`transfers` in config.yaml: how well confidence models hold on other data than they were fitted on."""

from typing import Annotated

from pydantic import Field

from overtop.config.answers import ModelSource
from overtop.config.base import Model, Name


class TransferSpec(Model):
    """One study, `results/transfers/NAME.csv` and `.md`: a posterior's confidence models on several data sets."""

    model: ModelSource = Field(description="where the confidence models are fitted")
    datasets: Annotated[list[Name], Field(min_length=1)] = Field(
        description="data sets to evaluate on: the own one, other galleries (variants), other domains"
    )
    split: Name = Field("test", description="split of these data sets")
    estimators: Annotated[list[Name], Field(min_length=1)] = Field(
        ["top1_similarity", "max_softmax", "bank_nnn"], description="each has its own confidence model"
    )
