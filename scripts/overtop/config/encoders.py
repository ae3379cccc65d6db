"""`encoders` in config.yaml: architectures, weights, and how an encoder is trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from overtop.config.base import Fraction, Model, Positive, Repository
from overtop.config.finetuning import FinetuneSpec


class TrainSpec(Model):
    """How an encoder is trained: the contrastive loss, AdamW, linear warm-up, then a cosine to zero."""

    dataset: str = Field(description="data set whose train split it is trained on: captions, or images of classes")
    classes: str | None = Field(
        None, description="data set of classes that it is trained on as well, in the same batches as `dataset`"
    )
    towers: Literal["whole", "locked"] = Field(
        "whole", description="`whole`: train all weights; `locked`: only the heads, on features of pretrained towers"
    )
    seed: int = Field(0, description="seed of weights and batches")
    epochs: Annotated[int, Field(ge=1)] = Field(4, description="passes over the training split")
    batch_size: Annotated[int, Field(ge=2)] = Field(64, description="pairs per step")
    learning_rate: Positive = Field(1e-3, description="largest learning rate of AdamW")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.05, description="weight decay of AdamW")
    warm_up: Fraction = Field(0.1, description="linear warm-up, as a fraction of all steps")
    label_smoothing: Fraction = Field(
        0.0, description="share of the target that is spread over the other pairs of a batch"
    )
    text_dropout: Fraction = Field(0.0, description="dropout of the text features when only heads are trained")
    caption_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="sampling weight of each caption level; empty: uniform"
    )
    threads: Annotated[int, Field(ge=1)] = Field(
        1, description="CPU threads; part of the result, because sums depend on it"
    )

    def datasets(self) -> list[str]:
        """The data sets that it is trained on."""
        return [self.dataset, *filter(None, [self.classes])]


class EncoderSpec(Model):
    """One dual-tower model that open_clip can build, and where its weights come from."""

    architecture: str = Field(
        "", description="an open_clip model, or one of this project's (overtop/encoders/models); not with `finetune`"
    )
    tag: str | None = Field(None, description="open_clip's name of pretrained weights")
    hub: Repository | None = Field(
        None, description="Hugging Face repository with weights in open_clip's layout: OWNER/NAME"
    )
    checkpoint: str | None = Field(
        None, description="file with weights, or a folder in open_clip's layout; with `tag`: a local copy of that tag"
    )
    activation: Literal["own", "gelu", "quickgelu"] = Field(
        "own", description="`own`: the activation that the weights were trained with"
    )
    train: TrainSpec | None = Field(None, description="train the encoder here")
    finetune: FinetuneSpec | None = Field(None, description="fine-tune another encoder, whose architecture it has")

    @model_validator(mode="after")
    def _check_one_source_of_weights(self) -> "EncoderSpec":
        if self.finetune is not None:  # what it has from its base is checked where the configuration is read
            return self
        if not self.architecture:
            raise ValueError("no `architecture`; give it, or `finetune` another encoder")
        if self.train is not None and (self.tag or self.hub or self.checkpoint):
            raise ValueError(
                "an encoder is trained here (`train`) or comes with weights (`tag`, `hub`, `checkpoint`), not both"
            )
        if self.hub and (self.tag or self.checkpoint):
            raise ValueError("`hub` cannot be combined with `tag` or `checkpoint`; remove them, or remove `hub`")
        if self.train is None and not (self.tag or self.hub or self.checkpoint):
            raise ValueError("no weights; give `tag`, `hub`, `checkpoint`, `train` or `finetune`")
        return self

    def finetuned_from(self, base: "EncoderSpec") -> "EncoderSpec":
        """This entry, of a fine-tuned encoder, with the architecture, activation and preprocessing of its base."""
        return self.model_copy(update=base.model_dump(include={"architecture", "tag", "hub", "activation"}))

    @property
    def is_trained_here(self) -> bool:
        """Whether the pipeline trains or fine-tunes it."""
        return self.train is not None or self.finetune is not None

    @property
    def is_downloaded(self) -> bool:
        """Whether its weights are downloaded."""
        return self.finetune is None and bool(self.hub or (self.tag and not self.checkpoint))
