"""The training data of adapters: normalised embeddings of both modalities, and the image of each caption."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.memory import READ_ITEMS
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
    components equals the variance of the unit embedding summed over them. Only the result is in memory as a whole.

    Raises:
        OvertopError: an embedding is zero or not finite.
    """
    inputs = torch.empty(source.n_items, source.dims[0])
    for start in range(0, source.n_items, READ_ITEMS):
        rows = slice(start, min(start + READ_ITEMS, source.n_items))
        samples = [read_unit_vectors(source, sample, rows, "cpu") for sample in range(source.n_samples)]
        mean = ArraySource([torch.stack(samples).mean(dim=0).numpy()], source.item_ids[rows])
        directions = read_unit_vectors(mean, 0, slice(0, mean.n_items), "cpu")
        torch.mul(directions, source.dims[0] ** 0.5, out=inputs[rows])
    return inputs


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
    text = read_adapter_inputs(texts)
    if captions.size < len(text):  # else a second copy for nothing
        text = text[captions]
    return Pairs(read_adapter_inputs(images), text, image_of_caption[captions], encoder)
