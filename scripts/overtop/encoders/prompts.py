"""Texts of a split for an encoder: captions, or the prompts of classes, whose embeddings are averaged per class."""

import numpy as np

from overtop.storage.split import Split


def list_texts(split: Split) -> list[str]:
    """The texts of a split: its captions, or the prompts of its classes, all templates of a class in a row."""
    if split.templates is None:
        return split.captions
    return [template.replace("{c}", name) for name in split.captions for template in split.templates]


def average_prompts(embedding: np.ndarray, templates: int) -> np.ndarray:
    """The unit embedding of each class: the mean of the unit embeddings of its prompts, normalised again.

    Args:
        embedding: (..., C * T, D), T prompts of each of C classes in a row.
        templates: T.

    Returns:
        (..., C, D), of the same type.
    """
    units = embedding / np.linalg.norm(embedding, axis=-1, keepdims=True)
    means = units.reshape(*embedding.shape[:-2], -1, templates, embedding.shape[-1]).mean(axis=-2)
    return means / np.linalg.norm(means, axis=-1, keepdims=True)
