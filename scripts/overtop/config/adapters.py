"""`adapters` in config.yaml: probabilistic adapters (ProbVLM)."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Fraction, Model, Positive

Weight = Annotated[float, Field(ge=0)]


class AdapterSpec(Model):
    """A pair of adapters, one per modality, on the embeddings of one encoder; defaults are those of the paper."""

    dataset: str = Field(description="data set whose embeddings it learns from")
    encoder: str = Field(description="the frozen encoder; `imported` for embeddings made elsewhere")
    train: str = Field("train", description="split to learn from")
    val: str = Field("val", description="split whose loss chooses the epoch")
    seed: int = 0
    epochs: Annotated[int, Field(ge=1)] = Field(100, description="in each of which every image meets one caption")
    batch_size: Annotated[int, Field(ge=1)] = 64
    learning_rate: Positive = 1e-4
    dropout: Annotated[Fraction, Field(gt=0)] = 0.3
    passes: Annotated[int, Field(ge=2)] = Field(15, description="with dropout on, for the epistemic part")
    positive: Literal["softplus", "relu"] = Field(
        "softplus", description="what makes the scales positive; `relu` as released: units can die"
    )
    nll_weight: Weight = Field(1e-4, description="of the likelihood beside the L1 loss")
    cross_weight: Weight = Field(1e-4, description="of predicting the other modality beside the own one")
