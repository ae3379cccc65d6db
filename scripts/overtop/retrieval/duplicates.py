"""Items with identical embeddings in all samples."""

from hashlib import blake2b

import numpy as np

from overtop.memory import READ_ITEMS
from overtop.storage.shards import EmbeddingSource

DIGEST_BYTES = 16
"""Length of the digest of an embedding; a chance collision among a billion items has probability 1e-21."""


def find_first_duplicates(source: EmbeddingSource) -> np.ndarray:
    """Return the first item with the same embeddings as each item, compared byte by byte as read, in all samples.

    Each further sample is read only where two items are still equal: without duplicates, one sample is read. Memory:
    one block of `READ_ITEMS` embeddings, and `DIGEST_BYTES` per item.

    Args:
        source: N items.

    Returns:
        (N,) int64, the smallest index of an identical item: that of the item itself, or a smaller one.

    Example:
        >>> from overtop.storage.shards import ArraySource
        >>> find_first_duplicates(ArraySource([np.array([[1, 0], [0, 1], [1, 0]])])).tolist()
        [0, 1, 0]
    """
    first = np.zeros(source.n_items, dtype=np.int64)  # before any sample is compared, all items are equal
    for sample in range(source.n_samples):
        candidates = np.flatnonzero(np.bincount(first, minlength=source.n_items)[first] > 1)
        if not candidates.size:
            break
        digests = np.empty((len(candidates), DIGEST_BYTES), dtype=np.uint8)
        for start in range(0, source.n_items, READ_ITEMS):
            part = slice(*np.searchsorted(candidates, (start, start + READ_ITEMS)))
            digests[part] = _hash_embeddings(source, sample, candidates[part], first)
        _, index, inverse = np.unique(digests, axis=0, return_index=True, return_inverse=True)
        first[candidates] = candidates[index[inverse.ravel()]]
    return first


def _hash_embeddings(source: EmbeddingSource, sample: int, items: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(n, DIGEST_BYTES) digests of ascending items, equal where both the embedding and `first` are."""
    digests = np.empty((len(items), DIGEST_BYTES), dtype=np.uint8)
    if items.size:
        embeddings = np.ascontiguousarray(source.read(sample, int(items[0]), int(items[-1]) + 1))
        for row, item in enumerate(items):
            digest = blake2b(embeddings[item - items[0]], digest_size=DIGEST_BYTES, salt=first[item].tobytes())
            digests[row] = np.frombuffer(digest.digest(), dtype=np.uint8)
    return digests
