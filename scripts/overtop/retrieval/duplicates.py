"""Items with identical embeddings in all samples: each is ranked once, so that equal items have equal results."""

from hashlib import blake2b
from typing import Self

import numpy as np

from overtop.memory import CACHE_BYTES, READ_ITEMS, blocks
from overtop.retrieval.sources import SelectedItems
from overtop.storage.shards import EmbeddingSource

DIGEST_BYTES = 16
"""Length of the digest of an embedding; a chance collision among a billion items has probability 1e-21."""

COMPARED_VALUES = 4
"""First values of an embedding that are compared before the whole of it."""


def find_first_duplicates(source: EmbeddingSource) -> np.ndarray:
    """Return the first item with the same embeddings as each item, compared byte by byte as read, in all samples.

    The whole of an embedding is compared only where two items have the same first values, and each further sample only
    where two items are still equal: without duplicates, one sample is read. Memory: one block of `READ_ITEMS`
    embeddings, and `DIGEST_BYTES` per item.

    Args:
        source: N items.

    Returns:
        (N,) int64, the smallest index of an identical item: that of the item itself, or a smaller one.

    Example:
        >>> from overtop.storage.shards import ArraySource
        >>> find_first_duplicates(ArraySource([np.array([[1, 0], [0, 1], [1, 0]])])).tolist()
        [0, 1, 0]
    """
    first = _first_with_equal_values(source)
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


def _first_with_equal_values(source: EmbeddingSource) -> np.ndarray:
    """(N,) the first item that has the same first values in the first sample as each item."""
    values = [
        source.read(0, part.start, part.stop)[:, :COMPARED_VALUES].copy()  # a view would keep the block in memory
        for part in blocks(source.n_items, 4 * source.dims[0], CACHE_BYTES)
    ]
    rows = np.concatenate(values).view(np.uint32)
    order = np.lexsort(rows.T)
    is_new = np.append(True, (rows[order[1:]] != rows[order[:-1]]).any(axis=1))
    first = np.empty(len(rows), dtype=np.int64)
    first[order] = np.minimum.reduceat(order, np.flatnonzero(is_new))[np.cumsum(is_new) - 1]
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


class DistinctItems:
    """The distinct items of a modality, each in the place of its first occurrence.

    Args:
        source: the n distinct items.
        item_ids: names of all N items.
        first: (N,) index of the first item with the same embeddings as each item.

    Attributes:
        source: as given.
        item_ids: as given.
        first: as given.
        rows: (n,) which of the N items each is.
        copies: (n,) how often each occurs.
        position: (N,) the distinct item that each item is.
    """

    def __init__(self, source: EmbeddingSource, item_ids: list[str], first: np.ndarray) -> None:
        self.source, self.item_ids, self.first = source, item_ids, first
        is_first = first == np.arange(len(first))
        self.rows = np.flatnonzero(is_first)
        self.position = (np.cumsum(is_first) - 1)[first]
        self.copies = np.bincount(self.position)

    @classmethod
    def find(cls, source: EmbeddingSource) -> Self:
        """Find the distinct items of a source, of which some may have identical embeddings in all samples."""
        first = find_first_duplicates(source)
        rows = np.flatnonzero(first == np.arange(len(first)))
        return cls(source if len(rows) == len(first) else SelectedItems(source, rows), source.item_ids, first)

    def repeat(self, values: np.ndarray) -> np.ndarray:
        """Return the values of all N items from those of the n distinct ones, without a copy if none is repeated."""
        return values if len(self.rows) == len(self.position) else values[self.position]

    def expand(self, ids: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best items of each query from the k best distinct ones.

        Args:
            ids: (Q, K) distinct items, best first; K is at least the smaller one of k and n.
            scores: (Q, K) their scores.
            k: at most N.

        Returns:
            (Q, k) items of the source, the smaller index first among equal scores, and their scores.
        """
        if len(self.rows) == len(self.position):
            return ids[:, :k], scores[:, :k]
        members = np.argsort(self.position, kind="stable")  # the items, sorted by the distinct item that they are
        starts = np.cumsum(self.copies) - self.copies
        counts = np.minimum(self.copies[ids], k).ravel()
        query = np.repeat(np.arange(len(ids)), counts.reshape(ids.shape).sum(axis=1))
        copy = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        items = members[np.repeat(starts[ids].ravel(), counts) + copy]
        of_items = np.repeat(scores.ravel(), counts)
        order = np.lexsort((items, -of_items, query))
        first_of_query = np.searchsorted(query, np.arange(len(ids)))
        best = order[(first_of_query[:, None] + np.arange(k)).ravel()].reshape(len(ids), k)
        return items[best].astype(ids.dtype), of_items[best]
