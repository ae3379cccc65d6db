"""All mean similarities of some queries at once, for galleries whose similarities fit in memory."""

import numpy as np
import torch

from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.shards import EmbeddingSource


def mean_similarities(
    queries: EmbeddingSource, gallery: EmbeddingSource, device: str, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return the similarities of queries with all items, averaged over the samples.

    Args:
        queries: Q queries, S samples.
        gallery: N items, S samples.
        device: torch device of the products.
        rows: ascending indices of the queries to use; all by default.

    Returns:
        (Q or the number of rows, N) float32.

    Raises:
        OvertopError: an embedding is zero or not finite.
    """
    selected = slice(0, queries.n_items) if rows is None else rows
    total = torch.zeros(queries.n_items if rows is None else len(rows), gallery.n_items, device=device)
    for s in range(gallery.n_samples):
        vectors = read_unit_vectors(queries, s, selected, device)
        for part in blocks(gallery.n_items, 4 * gallery.dims[s], MAX_ARRAY_BYTES // 4):
            total[:, part] += vectors @ read_unit_vectors(gallery, s, part, device).T
    return (total / gallery.n_samples).cpu().numpy()
