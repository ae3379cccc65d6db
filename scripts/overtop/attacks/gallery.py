"""The answers that an image can give: the items of the gallery, in groups, and which groups are right."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch.nn import functional

from overtop.errors import OvertopError
from overtop.retrieval.groups import declare_groups
from overtop.storage.digests import REBUILD
from overtop.storage.shards import ShardSource
from overtop.storage.split import Split


class Gallery:
    """Class prompts, each an answer of its own, or captions, of which those of one image are one answer.

    Args:
        texts: (M, D) embeddings of the items, normalised or not.
        groups: (M,) int, the number of each item's group, from 0 to G - 1 without gaps; by default each item is a group
            of its own.
        scale: the logit scale of the model, the inverse of its temperature.
        device: where logits are computed.
        provenance: of the embeddings.

    Attributes:
        n_groups: G.
        provenance: as given.
    """

    def __init__(
        self,
        texts: np.ndarray | torch.Tensor,
        groups: np.ndarray | None = None,
        scale: float = 1.0,
        device: str | torch.device = "cpu",
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self._texts = functional.normalize(torch.as_tensor(texts, dtype=torch.float32, device=device), dim=1)
        self._groups = None if groups is None else torch.as_tensor(groups, dtype=torch.long, device=device)
        self._scale = scale
        self.n_groups = len(self._texts) if groups is None else int(groups.max()) + 1
        self.provenance = provenance or {}

    @classmethod
    def read(
        cls, paths: Sequence[str | Path], split: Split, encoder: dict[str, Any], device: str | torch.device = "cpu"
    ) -> Self:
        """Read the text shards of an encoder on a split.

        Args:
            paths: its deterministic text shards, in order.
            split: the split.
            encoder: provenance of the encoder that images are embedded with, with its `logit_scale`.
            device: where logits are computed.

        Raises:
            OvertopError: the shards are of another encoder, or of other captions than the split's.
        """
        with ShardSource([paths]) as source:
            (provenance,) = source.provenance
            if provenance["encoder"] != encoder or source.item_ids != split.caption_ids:
                raise OvertopError(f"{paths[0]}: is of another encoder or of other captions; {REBUILD}")
            texts = source.read(0, 0, source.n_items)
        groups = None if split.is_classes else declare_groups(split, "i2t", split.caption_ids)
        return cls(texts, groups, float(encoder["logit_scale"]), device, provenance)

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return scale x cosine similarity, the largest over the items of each group: (B, D) -> (B, G), float32."""
        with torch.autocast(embeddings.device.type, enabled=False):
            logits = self._scale * functional.normalize(embeddings.float(), dim=1) @ self._texts.T
            if self._groups is None:
                return logits
            groups = self._groups.expand(len(logits), -1)
            return logits.new_full((len(logits), self.n_groups), -torch.inf).scatter_reduce(1, groups, logits, "amax")


def positives_of_images(split: Split, images: np.ndarray) -> np.ndarray:
    """Return which groups are right answers of images: (B, G) bool.

    The groups of a data set of classes are its classes, of which an image may have several. Those of a data set of
    captions are its images, and the captions whose image is unknown: all captions of an image are one answer, and only
    its own captions are right.

    Args:
        split: images with captions or classes.
        images: (B,) indices of images.

    Raises:
        OvertopError: an image has no caption.
    """
    if split.labels is None:
        without = images[~split.has_caption[images]]
        if without.size:
            raise OvertopError(
                f"image {split.image_ids[without[0]]!r} has no caption, so that no answer to it is right; attack "
                "a split in which every image has one"
            )
        return np.arange(len(split.image_ids) + (~split.has_image).sum()) == images[:, None]
    return np.stack([np.isin(images, members) for members in split.labels], axis=1)
