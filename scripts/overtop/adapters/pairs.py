"""The training data of adapters: normalised embeddings of both modalities, and the image of each caption."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.shards import ArraySource, EmbeddingSource
from overtop.storage.split import Split


@dataclass(frozen=True)
class Pairs:
    """The labelled pairs of one split.

    Attributes:
        image: (N, D) float32, from `read_adapter_inputs`.
        text: (P, D) float32, from `read_adapter_inputs`.
        image_of_caption: (P,) int64, row of `image` for each caption.
        encoder: provenance of the encoder that computed the embeddings.
    """

    image: torch.Tensor
    text: torch.Tensor
    image_of_caption: np.ndarray
    encoder: Mapping[str, Any]


def read_adapter_inputs(source: EmbeddingSource) -> torch.Tensor:
    """The mean direction of each item over its samples, scaled to length sqrt(D), (n, D) float32.

    Components then have size one. The scale is the same for images and texts, so a variance that is a mean over the D
    components equals the variance of the unit embedding summed over them.

    Raises:
        OvertopError: an embedding is zero or not finite.
    """
    all_items = slice(0, source.n_items)
    mean = torch.stack([read_unit_vectors(source, s, all_items, "cpu") for s in range(source.n_samples)]).mean(dim=0)
    directions = read_unit_vectors(ArraySource([mean.numpy()], source.item_ids), 0, all_items, "cpu")
    return directions * source.dims[0] ** 0.5


def build_pairs(split: Split, images: EmbeddingSource, texts: EmbeddingSource, encoder: Mapping[str, Any]) -> Pairs:
    """The pairs of every caption and its image; captions whose image was skipped are left out.

    Args:
        split: the split of the embeddings.
        images: embeddings of its images.
        texts: embeddings of its captions.
        encoder: provenance of the encoder that computed them.

    Raises:
        OvertopError: a caption is not in the split, or no pair is left.
    """
    image_of_caption = split.image_rows(texts.item_ids, images.item_ids)
    captions = np.flatnonzero(image_of_caption >= 0)
    if not captions.size:
        raise OvertopError("no caption has an embedded image; check the skipped items of the data set")
    return Pairs(read_adapter_inputs(images), read_adapter_inputs(texts)[captions], image_of_caption[captions], encoder)
