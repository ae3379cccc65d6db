"""`encoders` in config.yaml: architectures, weights, and how an encoder is trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from overtop.config.base import Fraction, Model, Positive


class TrainSpec(Model):
    """How an encoder is trained: the contrastive loss, AdamW, linear warm-up, then a cosine to zero."""

    dataset: str = Field(description="data set whose train split it learns from")
    towers: Literal["whole", "locked"] = Field(
        "whole", description="`whole`: every weight; `locked`: only the heads, on features of pretrained towers"
    )
    seed: int = 0
    epochs: Annotated[int, Field(ge=1)] = 4
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    warm_up: Fraction = Field(0.1, description="fraction of all steps")
    label_smoothing: Fraction = 0.0
    text_dropout: Fraction = Field(0.0, description="of the text features that locked towers' heads learn from")
    caption_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="how often captions of each level are drawn; empty: all alike"
    )
    threads: Annotated[int, Field(ge=1)] = Field(1, description="part of the result: sums depend on it")


class EncoderSpec(Model):
    """One dual-tower model that open_clip can build, and where its weights come from."""

    architecture: str = Field(description="name of an open_clip model, or of one of this project's")
    tag: str | None = Field(None, description="pretrained weights by open_clip's name for them")
    hub: str | None = Field(None, description="repository on the hub with weights in open_clip's layout: OWNER/NAME")
    checkpoint: str | None = Field(
        None, description="file with the weights, or a folder in open_clip's layout; with a tag: a copy of that tag's"
    )
    activation: Literal["own", "gelu", "quickgelu"] = Field(
        "own", description="`own`: the one the weights were trained with"
    )
    train: TrainSpec | None = None

    @model_validator(mode="after")
    def _one_source_of_weights(self) -> "EncoderSpec":
        if self.train is not None and (self.tag or self.hub or self.checkpoint):
            raise ValueError(
                "an encoder is trained here (`train`) or comes with weights (`tag`, `hub`, `checkpoint`), not both"
            )
        if self.hub and (self.tag or self.checkpoint):
            raise ValueError("`hub` names all that is needed; remove `tag` and `checkpoint`, or `hub`")
        if self.train is None and not (self.tag or self.hub or self.checkpoint):
            raise ValueError("no weights; give `tag`, `hub`, `checkpoint` or `train`")
        return self

    @property
    def is_downloaded(self) -> bool:
        """Whether its weights come over the network."""
        return bool(self.hub or (self.tag and not self.checkpoint))
