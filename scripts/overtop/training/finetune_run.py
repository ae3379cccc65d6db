"""What a fine-tuning run depends on: its configuration, its images with their classes, and a digest of all of it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overtop.config.encoders import EncoderSpec
from overtop.config.finetuning import FinetuneSpec
from overtop.encoders.loading import Encoder
from overtop.errors import OvertopError
from overtop.storage.split import Split
from overtop.training.class_images import check_batch_size, class_of_images
from overtop.training.processes import Process


@dataclass(frozen=True)
class FinetuneRun:
    """What one run depends on, and the files it writes.

    Attributes:
        name: the encoder's name in config.yaml.
        spec: its `finetune` entry.
        base: the entry of the encoder that training starts from, with its architecture.
        checkpoint: the file or record with that encoder's weights; None for those of its entry.
        train: the training split of a data set of classes.
        validation: a split with the same classes, which selects the best epoch.
        output: the checkpoint to write.
        log: the table of losses and validation accuracies to write.
        seed: seed of the run; `spec.seed` makes repetitions differ.
        data: the data folder, which image paths are relative to.
    """

    name: str
    spec: FinetuneSpec
    base: EncoderSpec
    checkpoint: str | Path | None
    train: Split
    validation: Split
    output: str | Path
    log: str | Path
    seed: int
    data: str | Path

    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """The class of each image of the training and of the validation split.

        Raises:
            OvertopError: a split is not one of classes, an image has several, the splits have different classes, or
                there are fewer training images than one batch has.
        """
        train, validation = (class_of_images(self.spec.dataset, split) for split in (self.train, self.validation))
        if self.train.captions != self.validation.captions:
            raise OvertopError(
                f"encoders.{self.name}.finetune: splits {self.spec.train!r} and {self.spec.val!r} of data set "
                f"{self.spec.dataset!r} have different classes; name a split with the same classes as `val`"
            )
        check_batch_size(self.name, self.spec, len(train))
        return train, validation

    def digest(self, base: Encoder, process: Process) -> str:
        """Hex digest of everything that determines the weights after each step, on one machine."""
        splits = [
            [split.image_ids, split.image_paths, split.captions, split.templates, labels.tolist()]
            for split, labels in zip((self.train, self.validation), self.labels(), strict=True)
        ]
        # How often the state is written does not change it.
        spec = self.spec.model_dump(mode="json", exclude={"checkpoint_steps"})
        parts = [spec, self.seed, base.provenance, splits, process.count, base.device.type]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
