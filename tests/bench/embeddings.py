"""Seeded embeddings whose similarities are spread like CLIP's, so that anyone can run the benchmark."""

import numpy as np

from overtop.storage.shards import ArraySource

SEED = 20
CLUSTER = 10
"""Images of one kind, which compete for a caption."""
IMAGE_NORM, TEXT_NORM = 10.5, 7.8
"""Lengths of ViT-B/32's raw embeddings."""


def embeddings(captions: int, images: int, samples: int, dim: int) -> tuple[ArraySource, ArraySource]:
    """Images and their captions (the same number each), S samples around one mean.

    Each side has an offset of its own, so that any two have a cosine about 0.12, items of one kind 0.26, a pair 0.30.

    Returns:
        (images, texts), un-normalised float32.
    """
    rng = np.random.default_rng(SEED)
    kind = _directions(rng, -(-images // CLUSTER), dim)[np.arange(images) // CLUSTER]
    content = 0.9 * kind + 0.44 * _directions(rng, images, dim)
    shared = _directions(rng, 1, dim)
    of_caption = np.arange(captions) * images // captions
    sides = (content, IMAGE_NORM), (content[of_caption], TEXT_NORM)
    return tuple(_samples(rng, 0.35 * shared + 0.42 * mean, norm, samples) for mean, norm in sides)  # type: ignore[return-value]


def _samples(rng: np.random.Generator, mean: np.ndarray, norm: float, samples: int) -> ArraySource:
    items, dim = mean.shape
    offset = _directions(rng, 1, dim)
    mean = mean + 0.5 * offset + 0.65 * _directions(rng, items, dim)
    mean *= norm * rng.uniform(0.9, 1.1, (items, 1)).astype(np.float32)
    return ArraySource([mean + 0.25 * norm * _directions(rng, items, dim) for _ in range(samples)])


def _directions(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """Gaussian vectors of length about one."""
    return rng.standard_normal((count, dim), dtype=np.float32) / np.float32(np.sqrt(dim))
