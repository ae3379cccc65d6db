"""What adapters see: unit embeddings at one scale for both modalities, and who belongs to whom."""

from dataclasses import dataclass

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.retrieval.vectors import unit
from overtop.storage.shards import ArraySource, EmbeddingSource
from overtop.storage.split import Split


@dataclass(frozen=True)
class Pairs:
    """The labelled pairs of one split.

    Attributes:
        image: (N, D) float32, from `scaled`.
        text: (P, D) float32, from `scaled`; every caption belongs to one of the images.
        image_of_caption: (P,) int64.
    """

    image: torch.Tensor
    text: torch.Tensor
    image_of_caption: np.ndarray


def scaled(source: EmbeddingSource) -> torch.Tensor:
    """The mean direction over samples, as (n, D) float32 of length sqrt(D): components have size one.

    The scale is the same for images and texts, so a variance, the mean over D components, is that of the unit
    embedding, summed over them.

    Raises:
        OvertopError: an embedding is zero or not finite.
    """
    everything = slice(0, source.n_items)
    mean = torch.stack([unit(source, s, everything, "cpu") for s in range(source.n_samples)]).mean(dim=0)
    directions = unit(ArraySource([mean.numpy()], source.item_ids), 0, everything, "cpu")
    return directions * source.dims[0] ** 0.5


def pairs_of(split: Split, images: EmbeddingSource, texts: EmbeddingSource) -> Pairs:
    """Every caption with its image; captions whose image was skipped are left out.

    Raises:
        OvertopError: the embeddings are not those of the split, or leave no pair.
    """
    position = {name: row for row, name in enumerate(images.item_ids)}
    image_of = dict(zip(split.caption_ids, (split.image_ids[i] for i in split.image_of_caption), strict=True))
    foreign = next((name for name in texts.item_ids if name not in image_of), None)
    if foreign is not None:
        raise OvertopError(f"caption {foreign!r} has an embedding but is not in the split; embed the split again")
    owner = np.array([position.get(image_of[name], -1) for name in texts.item_ids], dtype=np.int64)
    kept = np.flatnonzero(owner >= 0)
    if not kept.size:
        raise OvertopError("no caption and its image are both embedded; look at the data set's skipped items")
    return Pairs(scaled(images), scaled(texts)[kept], owner[kept])
