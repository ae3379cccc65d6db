"""`finetune` of an encoder in config.yaml: adversarial fine-tuning of the image tower of another encoder."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from overtop.config.base import Count, Model, Name, Positive
from overtop.config.objectives import ObjectiveSpec


class TrainingAttack(Model):
    """Projected gradient ascent within each training step; what it maximises belongs to the objective."""

    epsilon: Positive = Field(1.0, description="radius of the L-infinity ball, in 1/255 of the range of a pixel")
    steps: Count = Field(2, description="steps of gradient ascent")
    step: Positive | None = Field(None, description="length of a step, in 1/255; default: min(1, epsilon)")


class FinetuneSpec(Model):
    """How the image tower of an encoder is fine-tuned on attacked images; the text tower is frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    base: Name = Field(alias="from", description="the encoder that training starts from")
    dataset: Name = Field(description="data set of classes")
    train: Name = Field("train", description="split that it is trained on")
    val: Name = Field("val", description="split of the same data set that selects the best epoch")
    objective: ObjectiveSpec = Field(description="loss of the training")
    attack: TrainingAttack = Field(TrainingAttack(), description="attack on each batch")
    seed: int = Field(0, description="seed of batches and attacks")
    epochs: Count = Field(10, description="passes over the training split")
    batch_size: Count = Field(256, description="images per step")
    accumulate: Count = Field(1, description="parts that a batch is computed in")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="optimizer")
    learning_rate: Positive = Field(1e-4, description="largest learning rate")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of SGD")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="weight decay of the optimizer")
    warm_up_steps: Annotated[int, Field(ge=0)] = Field(0, description="linear warm-up; then a cosine to zero")
    blocks: Count | None = Field(None, description="train the last blocks of the tower only; default: all of it")
    prompt: Annotated[str, Field(pattern=r"\{c\}")] | None = Field(
        None, description="prompt with {c} for the class; default: those of the data set"
    )
    resize: Count | None = Field(None, description="size before the centre crop; default: that of the encoder")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of all but the attack, which is always fp32")
    compile: bool = Field(False, description="use torch.compile on a GPU")
    checkpoint_steps: Count = Field(200, description="steps after which a killed job continues")
    threads: Count = Field(1, description="CPU threads; part of the result, because sums depend on it")
    gpus: Count = Field(1, description="GPUs of one node; each computes its part of a batch")

    @model_validator(mode="after")
    def _check_parts(self) -> "FinetuneSpec":
        if self.batch_size % (self.gpus * self.accumulate):
            raise ValueError(
                f"batch_size {self.batch_size} cannot be divided into {self.accumulate} parts on {self.gpus} GPUs; "
                "choose a multiple of accumulate x gpus"
            )
        return self
