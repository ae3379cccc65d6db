"""Unit embeddings, read from a source in blocks."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.memory import READ_ITEMS
from overtop.storage.shards import CHUNK_ITEMS, ArraySource, EmbeddingSource

_SAFE_LENGTHS = (1e-15, 1e15)
"""Lengths whose squares float32 represents with all digits; other vectors are divided by their largest entry first."""


class UnitSource(ArraySource):
    """An `EmbeddingSource` of embeddings that are known to have length one, and that are used where they are stored.

    Args:
        samples: S float32 arrays (n, D), in memory or memory-mapped.
        item_ids: n names.
    """

    def __init__(self, samples: Sequence[np.ndarray], item_ids: Sequence[str]) -> None:
        super().__init__(samples, item_ids)
        self._tensors = [_share_memory(np.asarray(sample)) for sample in samples]

    def units(self, sample: int, rows: slice | np.ndarray) -> torch.Tensor:
        """Return the unit vectors of some items, (n, D) on the CPU: a view for a slice."""
        return self._tensors[sample][rows]


def read_unit_vectors(
    source: EmbeddingSource, sample: int, rows: slice | np.ndarray, device: str, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Read the embeddings of some items in one sample, normalised to length one.

    Those of a `UnitSource` are returned as they are, without a copy for a slice on the CPU. Of other sources, at most
    `READ_ITEMS` items are read at a time, and wide gaps between the items are skipped.

    Args:
        source: the embeddings.
        sample: number of the sample.
        rows: n items: a slice with both ends, or ascending indices.
        device: torch device of the result.
        dtype: precision of the result and of the normalisation; that of the source (float32) by default.

    Returns:
        (n, D).

    Raises:
        OvertopError: an embedding is zero or not finite; the message names the item.
    """
    if isinstance(source, UnitSource):
        return source.units(sample, rows).to(device, dtype)
    indices = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    read_separately = (np.diff(indices) > CHUNK_ITEMS) | (np.diff(indices // READ_ITEMS) > 0)
    parts = np.split(indices, np.flatnonzero(read_separately) + 1)
    units = [_read_part(source, sample, part, device, dtype) for part in parts]
    return units[0] if len(units) == 1 else torch.cat(units)


def _read_part(
    source: EmbeddingSource, sample: int, rows: np.ndarray, device: str, dtype: torch.dtype | None
) -> torch.Tensor:
    """`read_unit_vectors` for ascending rows, with one read from the first to the last of them."""
    start, stop = int(rows[0]), int(rows[-1]) + 1
    embeddings = source.read(sample, start, stop)
    if len(rows) < len(embeddings):
        embeddings = embeddings[rows - start]
    raw = _share_memory(embeddings).to(device, dtype)
    length = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
    extreme = (~((length > _SAFE_LENGTHS[0]) & (length < _SAFE_LENGTHS[1]))).flatten()
    if extreme.any():
        raw = raw.clone()
        raw[extreme] /= raw[extreme].abs().amax(dim=1, keepdim=True)
        length = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
        _check_finite(length, source, sample, rows)
    return raw / length


def _check_finite(length: torch.Tensor, source: EmbeddingSource, sample: int, rows: np.ndarray) -> None:
    """Raise an error that names the first item without a length."""
    invalid = (~torch.isfinite(length)).flatten().nonzero().flatten()
    if invalid.numel():
        name = source.item_ids[rows[int(invalid[0])]]
        raise OvertopError(
            f"the embedding of item {name!r} in sample {sample} is zero or not finite ({invalid.numel()} such items); "
            "remove the item or embed it again"
        )


def _share_memory(array: np.ndarray) -> torch.Tensor:
    """Return a tensor of the same memory, which must not be written to: a memory-mapped file is read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


class UnitVectors:
    """The unit embeddings of an array of items with many repetitions; each distinct item is read and stored once.

    Args:
        source: the embeddings.
        sample: number of the sample.
        items: item indices, an array of any shape.
        device: torch device of the embeddings.
        dtype: precision, as in `read_unit_vectors`.
    """

    def __init__(
        self, source: EmbeddingSource, sample: int, items: np.ndarray, device: str, dtype: torch.dtype | None = None
    ) -> None:
        distinct, positions = np.unique(items, return_inverse=True)
        self._units = read_unit_vectors(source, sample, distinct, device, dtype)
        self._positions = torch.as_tensor(positions.reshape(items.shape), device=device)

    def __getitem__(self, part: int | slice | tuple[slice, slice]) -> torch.Tensor:
        """Return the embeddings of a part of the array of items, with D as an additional last axis."""
        positions = self._positions[part]
        return self._units.index_select(0, positions.reshape(-1)).view(*positions.shape, -1)
