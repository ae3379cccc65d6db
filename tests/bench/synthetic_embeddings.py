"""Seeded embeddings whose similarities are distributed like those of CLIP, so that the benchmark needs no data."""

import numpy as np

from overtop.storage.shards import ArraySource

SEED = 20
CLUSTER_SIZE = 10
"""Number of similar images, which compete for a caption."""
IMAGE_NORM, TEXT_NORM = 10.5, 7.8
"""Mean norm of the raw embeddings of CLIP ViT-B/32."""


def make_embeddings(captions: int, images: int, samples: int, dim: int) -> tuple[ArraySource, ArraySource]:
    """Generate un-normalised float32 embeddings of images and of an equal number of captions for each of them.

    Each modality has an offset of its own. The cosine of a caption with an image is about 0.30 for a pair, 0.26 within
    a cluster and 0.12 otherwise.

    Returns:
        (images, texts), each with S samples around one mean per item.
    """
    rng = np.random.default_rng(SEED)
    cluster = _random_directions(rng, -(-images // CLUSTER_SIZE), dim)[np.arange(images) // CLUSTER_SIZE]
    content = 0.9 * cluster + 0.44 * _random_directions(rng, images, dim)
    shared = _random_directions(rng, 1, dim)
    image_of_caption = np.arange(captions) * images // captions
    image_source = _draw_samples(rng, 0.35 * shared + 0.42 * content, IMAGE_NORM, samples)
    text_source = _draw_samples(rng, 0.35 * shared + 0.42 * content[image_of_caption], TEXT_NORM, samples)
    return image_source, text_source


def _draw_samples(rng: np.random.Generator, mean: np.ndarray, norm: float, samples: int) -> ArraySource:
    items, dim = mean.shape
    offset = _random_directions(rng, 1, dim)
    mean = mean + 0.5 * offset + 0.65 * _random_directions(rng, items, dim)
    mean *= norm * rng.uniform(0.9, 1.1, (items, 1)).astype(np.float32)
    return ArraySource([mean + 0.25 * norm * _random_directions(rng, items, dim) for _ in range(samples)])


def _random_directions(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """Return (count, dim) Gaussian vectors whose norm is about one."""
    return rng.standard_normal((count, dim), dtype=np.float32) / np.float32(np.sqrt(dim))
