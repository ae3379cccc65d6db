"""Attacked images of one shard, and their embeddings."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from overtop.attacks.batch import AttackedBatch, attack_batch, describe_attack
from overtop.attacks.classifier import Classifier
from overtop.attacks.gallery import Gallery, positives_of_images
from overtop.config.attacks import GradientAttack, LibraryAttack
from overtop.encoders.decoding import decode_batches
from overtop.encoders.embedding import EmbeddingBatch, ShardKey
from overtop.encoders.loading import Encoder
from overtop.encoders.passes import FULL_PRECISION, open_tower
from overtop.encoders.sampling import Sampling
from overtop.progress import Progress, no_progress
from overtop.seeds import derive_seed
from overtop.storage.shards import shard_slice
from overtop.storage.split import Split
from overtop.terms import OnError


@dataclass(frozen=True)
class Outcome:
    """What an attack did to the images of a shard.

    Attributes:
        images: images that were attacked.
        wrong_clean: of these, misclassified before the attack.
        wrong_attacked: misclassified after it.
        max_perturbation: largest change of a pixel, in 1/255; above epsilon by no more than the rounding of float32.
        pixel_min, pixel_max: range of the perturbed pixels, within [0, 1].
    """

    images: int = 0
    wrong_clean: int = 0
    wrong_attacked: int = 0
    max_perturbation: float = 0.0
    pixel_min: float = 1.0
    pixel_max: float = 0.0

    @classmethod
    def of(cls, pixels: torch.Tensor, attacked: AttackedBatch) -> Self:
        """The outcome for one batch with these clean pixels."""
        return cls(
            len(pixels),
            int(attacked.was_wrong.sum()),
            int(attacked.is_wrong.sum()),
            255 * (attacked.pixels - pixels).abs().max().item(),
            attacked.pixels.min().item(),
            attacked.pixels.max().item(),
        )

    def combined(self, other: Self) -> Self:
        """The outcome for the images of both."""
        return type(self)(
            self.images + other.images,
            self.wrong_clean + other.wrong_clean,
            self.wrong_attacked + other.wrong_attacked,
            max(self.max_perturbation, other.max_perturbation),
            min(self.pixel_min, other.pixel_min),
            max(self.pixel_max, other.pixel_max),
        )


@dataclass(frozen=True)
class ShardAttack:
    """An attack on the images of one shard, batch by batch.

    The batches, and the seeds of a batch's attack and of its masks, are determined by the shard alone, so that a shard
    has the same bytes whenever and after whatever other shards it is made.

    Attributes:
        classifier: what is attacked: the encoder without dropout.
        split: images with captions or classes.
        key: which of its images.
        spec: the attack.
        seed: seed of the run.
        batch_size: images in a batch.
        data: the data folder, which image paths are relative to.
        on_error: what happens when an image cannot be read.
    """

    classifier: Classifier
    split: Split
    key: ShardKey
    spec: GradientAttack | LibraryAttack
    seed: int
    batch_size: int
    data: str | Path
    on_error: OnError = "fail"

    @classmethod
    def against(
        cls, encoder: Encoder, split: Split, text_shards: Sequence[str | Path], key: ShardKey, **options: Any
    ) -> Self:
        """The attack on an encoder with the gallery that it embedded.

        Args:
            encoder: a loaded encoder.
            split: images with captions or classes.
            text_shards: the deterministic text shards of the encoder on the split.
            key: which of the images.
            **options: the other attributes.

        Raises:
            OvertopError: the text shards are of another encoder or split.
        """
        gallery = Gallery.read(text_shards, split, encoder.identity, encoder.device)
        return cls(Classifier(encoder, gallery), split, key, **options)

    def describe(self) -> dict[str, Any]:
        """The full specification of the attack, for the provenance of its results."""
        described = describe_attack(self.spec, self.classifier.gallery.n_groups)
        return {**described, **self.classifier.describe()}

    @property
    def rows(self) -> range:
        """The indices of the images."""
        rows = shard_slice(len(self.split.image_ids), self.key.number, self.key.count)
        return range(rows.start, rows.stop)

    def positives(self, images: np.ndarray) -> torch.Tensor:
        """The right answers of images (b,) of the split, (b, G) bool on the encoder's device."""
        return torch.as_tensor(positives_of_images(self.split, images), device=self.classifier.encoder.device)

    def batches(self) -> Generator[tuple[np.ndarray, torch.Tensor, AttackedBatch | None]]:
        """Attack all batches.

        Yields:
            For each batch which of its images are readable, (n,) bool; the clean pixels of those (b, 3, H, W); and
            these images after the attack, None if there are none.

        Raises:
            OvertopError: an image cannot be read, and `on_error` is `fail`; or as `attack_batch`.
        """
        encoder = replace(self.classifier.encoder, preprocess=self.classifier.to_pixels)
        starts = self.rows[:: self.batch_size]
        files = [Path(self.data) / self.split.image_paths[row] for row in self.rows]
        file_batches = [files[at : at + self.batch_size] for at in range(0, len(files), self.batch_size)]
        for number, (pixels, readable) in enumerate(decode_batches(encoder, file_batches, self.on_error)):
            if not readable.any():
                yield readable, pixels, None
                continue
            pixels = pixels.to(encoder.device)
            is_positive = self.positives(starts[number] + np.flatnonzero(readable))
            parts = "attack", self.spec.seed, encoder.name, self.key.number, self.key.count, number
            seed = derive_seed(self.seed, *parts)
            yield readable, pixels, attack_batch(self.classifier.logits, pixels, is_positive, self.spec, seed)

    def embed(self, sampling: Sampling, progress: Progress = no_progress) -> tuple[EmbeddingBatch, list[str], Outcome]:
        """Attack the images, and embed them in float32 with the masks that the clean images have.

        Args:
            sampling: one deterministic pass, or S passes with dropout.
            progress: called after each batch with the number of images done and the number of all.

        Returns:
            The embeddings, the names of their items, and what the attack did.

        Raises:
            OvertopError: as `batches`.
        """
        encoder, rows = self.classifier.encoder, self.rows
        mask_seed = self.key.mask_seed(self.seed, encoder.name, sampling)
        embedding = np.full((sampling.passes, len(rows), encoder.widths["image"]), np.nan, dtype=np.float32)
        valid, dropout, outcome = np.zeros(len(rows), dtype=bool), "none", Outcome()
        for number, (readable, pixels, attacked) in enumerate(self.batches()):
            start = number * self.batch_size
            if attacked is not None:
                positions = np.flatnonzero(readable)
                images = self.classifier.normalise(attacked.pixels)
                # Per batch: within the context every forward pass has dropout, the attack's would too.
                with open_tower(encoder, "image", sampling, mask_seed, self.batch_size, FULL_PRECISION) as tower:
                    embedding[:, start + positions] = tower.embed(images, positions, number)
                    dropout = tower.dropout
                valid[start + positions] = True
                outcome = outcome.combined(Outcome.of(pixels, attacked))
            progress(start + len(readable), len(rows))
        item_ids = self.split.image_ids[rows.start : rows.stop]
        return EmbeddingBatch(embedding, valid, dropout), item_ids, outcome
