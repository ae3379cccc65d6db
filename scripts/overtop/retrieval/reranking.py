"""Exact order and scores of a few items per query."""

from collections.abc import Sequence

import numpy as np
import torch

from overtop.memory import CACHE_BYTES, MAX_ARRAY_BYTES, blocks
from overtop.retrieval.vectors import UnitVectors, read_unit_vectors
from overtop.storage.shards import EmbeddingSource


def rerank(
    queries: EmbeddingSource,
    gallery: EmbeddingSource,
    items: np.ndarray,
    device: str,
    samples: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Sort some items of each query by mean similarity, in the order in which `rank` has them.

    Args:
        queries: Q queries.
        gallery: N items.
        items: (Q, K) gallery indices, distinct in each row.
        device: torch device of the computation.
        samples: numbers of the samples to average; all of them by default.

    Returns:
        (Q, K) int32 gallery indices, best first, the smaller index first among items of equal similarity; and their
        (Q, K) float32 mean similarities.
    """
    samples = range(gallery.n_samples) if samples is None else samples
    count, width = items.shape
    ids = torch.as_tensor(np.sort(items, axis=1), device=device)
    scores = torch.zeros(count, width, device=device)
    for part in blocks(count, 4 * width * max(gallery.dims), MAX_ARRAY_BYTES):
        for s in samples:
            query_vectors = read_unit_vectors(queries, s, part, device)
            item_vectors = UnitVectors(gallery, s, ids[part].cpu().numpy(), device)
            for block in blocks(len(query_vectors), 4 * width * gallery.dims[s], CACHE_BYTES):
                scores[part][block] += (item_vectors[block] @ query_vectors[block, :, None])[..., 0]
    scores, order = (scores / len(samples)).sort(dim=1, descending=True, stable=True)
    return ids.gather(1, order).to(torch.int32).cpu().numpy(), scores.cpu().numpy()
