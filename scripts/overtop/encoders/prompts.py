"""Texts of a split for an encoder: captions, or the prompts of classes, whose embeddings are averaged per class."""

from collections.abc import Sequence

import numpy as np

from overtop.storage.split import Split


def list_prompts(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """The prompts of classes: those of a class, one of each template, follow each other.

    >>> list_prompts(["cat", "dog"], ["a {c}", "the {c}"])
    ['a cat', 'the cat', 'a dog', 'the dog']
    """
    return [template.replace("{c}", name) for name in names for template in templates]


def list_texts(split: Split) -> list[str]:
    """The texts of a split: its captions, or the prompts of its classes as `list_prompts` lists them."""
    return split.captions if split.templates is None else list_prompts(split.captions, split.templates)


def average_prompts(embedding: np.ndarray, templates: int) -> np.ndarray:
    """The unit embedding of each class: the mean of the unit embeddings of its prompts, normalised again.

    This is the zero-shot classifier of CLIP (Radford et al. 2021, section 3.1.4).

    Args:
        embedding: (..., C * T, D), the prompts as `list_prompts` lists them.
        templates: T.

    Returns:
        (..., C, D), of the same type.
    """
    prompts = _normalise(embedding).reshape(*embedding.shape[:-2], -1, templates, embedding.shape[-1])
    return _normalise(prompts.mean(axis=-2))


def _normalise(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1 along the last axis."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(vectors.dtype).tiny))
