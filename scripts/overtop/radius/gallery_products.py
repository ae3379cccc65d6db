"""Products of vectors with the whole gallery, in float32 and averaged over samples."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.shards import EmbeddingSource

TRIANGLE_ROWS = 512
"""Rows of the product of a gallery with itself that are computed at a time, from the diagonal to the right."""


def iterate_gallery_products(
    gallery: EmbeddingSource, vectors: Sequence[torch.Tensor], device: str
) -> Iterator[tuple[int, torch.Tensor]]:
    """Multiply vectors with all gallery items, one block of items after the other.

    Args:
        gallery: N items, S samples.
        vectors: the components of B vectors in each sample, S times (B, D) float32.
        device: torch device of the vectors.

    Yields:
        The index of the first item of the block, and the mean over samples of the products, (B, items of the block)
        float32.
    """
    count, samples = len(vectors[0]), len(vectors)
    for part in blocks(gallery.n_items, 4 * max(count, max(gallery.dims)), MAX_ARRAY_BYTES // 4):
        total = torch.zeros(count, part.stop - part.start, device=device)
        for s, vector in enumerate(vectors):
            total.addmm_(vector, read_unit_vectors(gallery, s, part, device).mT)
        yield part.start, total / samples


def compute_gallery_products(gallery: EmbeddingSource, device: str) -> np.ndarray:
    """Return the mean over samples of the products of all pairs of gallery items, (N, N) float32.

    Half of them are computed; the others follow by symmetry.
    """
    size = gallery.n_items
    total = torch.zeros(size, size, device=device)
    parts = list(blocks(size, 1, TRIANGLE_ROWS))
    for s in range(gallery.n_samples):
        units = read_unit_vectors(gallery, s, slice(0, size), device)
        for part in parts:
            total[part, part.start :].addmm_(units[part], units[part.start :].mT)
    for part in parts:
        total[part.stop :, part] = total[part, part.stop :].mT
    return total.div_(gallery.n_samples).cpu().numpy()
