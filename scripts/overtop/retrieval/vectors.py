"""Unit embeddings read in blocks, and products of a few of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.memory import CACHE_BYTES, MAX_ARRAY_BYTES, blocks
from overtop.storage.shards import CHUNK_ITEMS, ArraySource, EmbeddingSource


def unit(
    source: EmbeddingSource, sample: int, rows: slice | np.ndarray, device: str, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Embeddings of one sample at length one, (rows, D), float32 unless `dtype` says otherwise.

    Args:
        source: where they are.
        sample: which sample.
        rows: which items: a slice with both ends, or rising indices.
        device: where they shall be.
        dtype: in which precision.

    Raises:
        OvertopError: an embedding is zero or not finite; the item is named.
    """
    picked = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    start, stop = int(picked[0]), int(picked[-1]) + 1
    span = source.read(sample, start, stop)
    raw = torch.as_tensor(span if len(picked) == len(span) else span[picked - start], device=device, dtype=dtype)
    length = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
    broken = (~(torch.isfinite(length) & (length > 0))).flatten().nonzero().flatten()
    if broken.numel():
        name = source.item_ids[picked[int(broken[0])]]
        raise OvertopError(
            f"the embedding of item {name!r} in sample {sample} is zero or not finite ({broken.numel()} such items); "
            "remove the item or embed it again"
        )
    return raw / length


SPAN = 8192
"""Items read at once, at most."""


class _MeanSource:
    """The mean over samples of un-normalised embeddings, taken whenever it is read."""

    def __init__(self, source: EmbeddingSource) -> None:
        self._source = source
        self.item_ids = source.item_ids
        self.n_items = source.n_items
        self.dims = source.dims[:1]
        self.n_samples = 1

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        total = np.zeros((stop - start, self.dims[0]))
        for s in range(self._source.n_samples):
            total += self._source.read(s, start, stop)
        return (total / self._source.n_samples).astype(np.float32)


def mean_of(source: EmbeddingSource) -> EmbeddingSource:
    """The mean over samples of un-normalised embeddings, as a source of one sample; in memory if it is small.

    Args:
        source: samples of one dimension.
    """
    mean = _MeanSource(source)
    if 4 * mean.n_items * mean.dims[0] > MAX_ARRAY_BYTES:
        return mean
    return ArraySource([mean.read(0, 0, mean.n_items)], mean.item_ids)


def rescore(
    queries: EmbeddingSource,
    gallery: EmbeddingSource,
    items: np.ndarray,
    device: str,
    samples: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The order in which `rank` would have had some items of each query.

    Args:
        queries: Q queries.
        gallery: N items.
        items: (Q, K), different ones in each row.
        device: a torch device for the products.
        samples: which samples count; all by default.

    Returns:
        (Q, K) int32 items, best first, the smaller number first among equals; and their (Q, K) float32 products.
    """
    samples = range(gallery.n_samples) if samples is None else samples
    count, width = items.shape
    ids = torch.as_tensor(np.sort(items, axis=1), device=device)
    scores = torch.zeros(count, width, device=device)
    for part in blocks(count, 4 * width * max(gallery.dims), MAX_ARRAY_BYTES):
        for s in samples:
            asked = units_of(queries, s, np.arange(part.start, part.stop), device)
            others = UnitRows(gallery, s, ids[part].cpu().numpy(), device)
            for few in blocks(len(asked), 4 * width * gallery.dims[s], CACHE_BYTES):
                scores[part][few] += (others.at(few) @ asked[few, :, None])[..., 0]
    scores, order = (scores / len(samples)).sort(dim=1, descending=True, stable=True)
    return ids.gather(1, order).to(torch.int32).cpu().numpy(), scores.cpu().numpy()


def units_of(
    source: EmbeddingSource, sample: int, rows: np.ndarray, device: str, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Unit embeddings of some items, (n, D), read in spans, so that what lies between them is never held whole.

    Args:
        source: where they are.
        sample: which sample.
        rows: (n,) rising.
        device: where they shall be.
        dtype: in which precision, float32 by default.
    """
    apart = (np.diff(rows) > CHUNK_ITEMS) | (np.diff(rows // SPAN) > 0)
    spans = np.split(rows, np.flatnonzero(apart) + 1)
    found = [unit(source, sample, span, device, dtype) for span in spans]
    return found[0] if len(found) == 1 else torch.cat(found)


class UnitRows:
    """Unit embeddings of items of which many are the same, each read once."""

    def __init__(
        self, source: EmbeddingSource, sample: int, rows: np.ndarray, device: str, dtype: torch.dtype | None = None
    ) -> None:
        distinct, back = np.unique(rows, return_inverse=True)
        self._units = units_of(source, sample, distinct, device, dtype)
        self._back = torch.as_tensor(back.reshape(rows.shape), device=device)

    def at(self, part: int | slice | tuple[slice, slice]) -> torch.Tensor:
        """Those of a part of the rows, with D as the last axis."""
        picked = self._back[part]
        return self._units.index_select(0, picked.reshape(-1)).view(*picked.shape, -1)
