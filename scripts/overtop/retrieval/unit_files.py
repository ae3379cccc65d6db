"""The files of the unit vectors of a prepared gallery, memory-mapped and checked block by block when they are read."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.retrieval.vectors import UnitSource
from overtop.storage.digests import differs_error

SAMPLE = "sample-{}.npy"
"""File of the unit vectors of one sample."""

DIGEST_ROWS = 8192
"""Unit vectors with a digest of their own."""

PREPARE_AGAIN = "prepare the gallery again"
"""What to do about a damaged gallery."""


def write_sample(path: Path, shape: tuple[int, int], parts: Iterable[np.ndarray]) -> np.ndarray:
    """Write the unit vectors of one sample, and return them memory-mapped.

    Args:
        path: the file.
        shape: (n, D) of all parts together.
        parts: float32 blocks of rows, in order.
    """
    with open(path, "wb") as file:
        _write_header(file, shape)
        for part in parts:
            file.write(part.data)
    return _map_sample(path, shape)


def _map_sample(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Memory-map the unit vectors of one sample; only they are read of the file, nothing of its header."""
    offset = _header_size(shape)
    if not path.is_file() or path.stat().st_size != offset + 4 * math.prod(shape):
        raise OvertopError(f"{path}: is missing or truncated; {PREPARE_AGAIN}")
    return np.memmap(path, dtype="<f4", mode="r", offset=offset, shape=shape)


def _header_size(shape: tuple[int, int]) -> int:
    header = BytesIO()
    _write_header(header, shape)
    return header.tell()


def _write_header(file: BinaryIO, shape: tuple[int, int]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


class StoredUnits(UnitSource):
    """The unit vectors in the files of a gallery, memory-mapped.

    Args:
        folder: the folder of the gallery.
        shapes: for each sample (n, D).
        item_ids: n names.
        digests: for each sample those of its blocks of `DIGEST_ROWS` unit vectors.

    Raises:
        OvertopError: a file is missing or truncated; later, when unit vectors are read, that they were altered.
    """

    def __init__(
        self,
        folder: Path,
        shapes: Sequence[tuple[int, int]],
        item_ids: Sequence[str],
        digests: Sequence[Sequence[str]],
    ) -> None:
        self._paths = [folder / SAMPLE.format(s) for s in range(len(shapes))]
        super().__init__([_map_sample(path, shape) for path, shape in zip(self._paths, shapes, strict=True)], item_ids)
        self._unchecked = [dict(enumerate(of_sample)) for of_sample in digests]

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Float32 unit vectors of the items `start` to `stop`: (stop - start, D of that sample)."""
        self._check(sample, slice(start, stop))
        return super().read(sample, start, stop)

    def units(self, sample: int, rows: slice | np.ndarray) -> torch.Tensor:
        """Return the unit vectors of some items, (n, D) on the CPU: a view for a slice."""
        self._check(sample, rows)
        return super().units(sample, rows)

    def _check(self, sample: int, rows: slice | np.ndarray) -> None:
        """Compare the blocks of some items with their digests, unless that was done before."""
        unchecked = self._unchecked[sample]
        if not unchecked:
            return
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(self.n_items)
            blocks: Iterable[int] = range(start // DIGEST_ROWS, -(-stop // DIGEST_ROWS))
        else:
            blocks = np.unique(rows // DIGEST_ROWS).tolist()
        for block in blocks:
            if block in unchecked:
                if _digest_block(self._samples[sample], block) != unchecked[block]:
                    raise differs_error(self._paths[sample], PREPARE_AGAIN)
                unchecked.pop(block, None)  # another thread may have checked it, too


def _digest_block(sample: np.ndarray, block: int) -> str:
    return hashlib.sha256(sample[block * DIGEST_ROWS : (block + 1) * DIGEST_ROWS].data).hexdigest()


def digest_blocks(sample: np.ndarray) -> list[str]:
    """The digest of each block of unit vectors (n, D)."""
    return [_digest_block(sample, block) for block in range(-(-len(sample) // DIGEST_ROWS))]
