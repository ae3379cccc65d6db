"""`adapters` in config.yaml: probabilistic adapters (ProbVLM)."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Count, Fraction, Model, Positive

Weight = Annotated[float, Field(ge=0)]


class AdapterSpec(Model):
    """A pair of adapters, one per modality, on the embeddings of one encoder; defaults are those of the paper."""

    dataset: str = Field(description="data set whose embeddings it is trained on")
    encoder: str = Field(description="the frozen encoder; `imported` for embeddings made elsewhere")
    train: str = Field("train", description="training split")
    val: str = Field("val", description="split whose loss selects the best epoch")
    seed: int = Field(0, description="seed of weights and batches")
    epochs: Annotated[int, Field(ge=1)] = Field(
        100, description="each image is paired with one random caption per epoch"
    )
    batch_size: Annotated[int, Field(ge=1)] = Field(64, description="images per step")
    threads: Count = Field(1, description="CPU threads; part of the result, since the order of sums depends on them")
    learning_rate: Positive = Field(1e-4, description="learning rate of Adam")
    dropout: Annotated[Fraction, Field(gt=0)] = Field(0.3, description="dropout rate of the adapters")
    passes: Annotated[int, Field(ge=2)] = Field(15, description="passes with dropout on, for the epistemic variance")
    positive: Literal["softplus", "relu"] = Field(
        "softplus", description="activation that keeps the scales positive; `relu` as in the release (units can die)"
    )
    nll_weight: Weight = Field(1e-4, description="weight of the likelihood relative to the L1 loss")
    cross_weight: Weight = Field(1e-4, description="weight of predicting the other modality")
