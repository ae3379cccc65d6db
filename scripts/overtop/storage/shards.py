"""The shard: one HDF5 file with all samples of a contiguous slice of the items of one modality.

Layout: `embedding` (S, n, D) un-normalised, `item_id` (n,), `valid` (n,); provenance as attributes, and a digest of
everything. There are no timestamps: the same inputs give the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Protocol, Self

import h5py
import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import decode_strings, encode_strings, open_arrays, verify_arrays, write_arrays
from overtop.storage.digests import REBUILD
from overtop.storage.shard_contents import check_contents

SCHEMA = "shard/1"

CHUNK_ITEMS = 256
"""Items in one HDF5 chunk."""

_KEYS_OF_ONE_SHARD = frozenset({"shard", "truncated_captions", "outcome"})
"""Provenance keys that differ between the shards of one encoder."""

_NO_ITEMS = "the split has no such items; name a split with images and captions, or use it in `answers`"


class EmbeddingSource(Protocol):
    """S samples of the embeddings of n items of one modality, read in slices."""

    item_ids: list[str]
    dims: tuple[int, ...]

    @property
    def n_samples(self) -> int:
        """The number of samples S."""
        ...

    @property
    def n_items(self) -> int:
        """The number of items n."""
        ...

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Un-normalised float32 embeddings of the items `start` to `stop`: (stop - start, D of that sample)."""
        ...


class ArraySource:
    """An `EmbeddingSource` of arrays in memory.

    Args:
        samples: S arrays of shape (n, D); D may differ between the members of an ensemble.
        item_ids: n names; by default the row numbers.
    """

    def __init__(self, samples: Sequence[np.ndarray], item_ids: Sequence[str] | None = None) -> None:
        self._samples = list(samples)
        self.item_ids = list(item_ids) if item_ids is not None else [str(i) for i in range(len(samples[0]))]
        self.dims = tuple(sample.shape[1] for sample in self._samples)

    @property
    def n_samples(self) -> int:
        """The number of samples S."""
        return len(self._samples)

    @property
    def n_items(self) -> int:
        """The number of items n."""
        return len(self.item_ids)

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Un-normalised float32 embeddings of the items `start` to `stop`: (stop - start, D of that sample)."""
        return np.asarray(self._samples[sample][start:stop], dtype=np.float32)


def shard_slice(n_items: int, shard: int, shards: int) -> slice:
    """The slice of the items that belong to shard number `shard` when `n_items` are divided evenly into `shards`."""
    return slice(n_items * shard // shards, n_items * (shard + 1) // shards)


def write_shard(
    path: str | Path,
    embedding: np.ndarray,
    item_ids: Sequence[str],
    valid: np.ndarray,
    provenance: Mapping[str, Any],
) -> None:
    """Write one shard atomically.

    Args:
        path: the file.
        embedding: (S, n, D), float32 or float16.
        item_ids: n names.
        valid: (n,) bool; False marks an item that could not be read and was skipped on purpose.
        provenance: JSON-serialisable description of how the embeddings were computed.

    Raises:
        OvertopError: the embedding of a valid item is not finite, there are items but none is valid, or the disk is
            full.
    """
    finite = np.logical_and.reduce([np.isfinite(sample).all(axis=1) for sample in embedding])
    not_finite = np.flatnonzero(valid & ~finite)
    if not_finite.size:
        raise OvertopError(
            f"{path}: the embedding of item {item_ids[not_finite[0]]!r} is not finite ({not_finite.size} such items); "
            "check the item and the encoder (half precision overflows: try dtype float32)"
        )
    if len(valid) and not valid.any():
        raise OvertopError(f"{path}: none of its {len(item_ids)} items could be read; check the files of the data set")
    _, n_items, dim = embedding.shape
    write_arrays(
        path,
        SCHEMA,
        {"embedding": embedding, "item_id": encode_strings(item_ids), "valid": valid},
        provenance,
        chunks={"embedding": (1, min(CHUNK_ITEMS, n_items), dim)} if n_items else {},
    )


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The provenance of a shard, after its whole content was verified against its digest.

    Raises:
        OvertopError: the file is missing, truncated or altered, or not a shard of this version.
    """
    provenance = verify_arrays(path, SCHEMA)
    with open_arrays(path) as file:
        check_contents(path, {name: file[name] if name == "embedding" else file[name][...] for name in file})
    return provenance


@dataclass(frozen=True)
class _OpenShards:
    """The open shards of one encoder and one run of its passes: consecutive samples of a `ShardSource`.

    Attributes:
        files: the shards, in the order of their items.
        offsets: (number of shards + 1,) the row of the first item of each shard, and the total number of items.
        n_samples: samples in each shard.
        dim: embedding width D.
    """

    files: list[h5py.File]
    offsets: np.ndarray
    n_samples: int
    dim: int

    @classmethod
    def open(cls, paths: Sequence[str | Path], stack: ExitStack) -> Self:
        """Open verified shards; `stack` closes them."""
        files = [stack.enter_context(open_arrays(path)) for path in paths]
        n_samples, _, dim = files[0]["embedding"].shape
        return cls(files, np.cumsum([0, *(file["embedding"].shape[1] for file in files)]), n_samples, dim)

    def item_ids(self) -> list[str]:
        """Names of all items, skipped ones included."""
        return [item for file in self.files for item in decode_strings(file["item_id"][...])]

    def valid(self) -> np.ndarray:
        """(n,) bool, False for items that were skipped."""
        return np.concatenate([file["valid"][...] for file in self.files])

    def read(self, sample: int, rows: np.ndarray) -> np.ndarray:
        """Float32 (len(rows), D) embeddings of the given rows, which must be sorted."""
        parts = []
        for file, first, last in zip(self.files, self.offsets[:-1], self.offsets[1:], strict=True):
            local = rows[np.searchsorted(rows, first) : np.searchsorted(rows, last)] - first
            if local.size:
                span = file["embedding"][sample, local[0] : local[-1] + 1]
                parts.append(span[local - local[0]])
        return np.concatenate(parts).astype(np.float32, copy=False)


class ShardSource:
    """An `EmbeddingSource` of the verified shards of one posterior and modality.

    An item that was skipped in any shard is omitted from all samples.

    Args:
        groups: for each encoder of the posterior, and each run of its passes, the paths of its shards in order.
        samples: use only the first samples, this many; None for all.

    Attributes:
        item_ids: names of the items that were not skipped.
        skipped: names of the items that were skipped.
        dims: the embedding width D of each sample.
        provenance: for each group what its shards have in common.

    Raises:
        OvertopError: a shard is damaged, the shards do not belong together, there are too few samples, or no item is
            left.
    """

    def __init__(self, groups: Sequence[Sequence[str | Path]], samples: int | None = None) -> None:
        self.provenance = [_read_common_provenance(paths) for paths in groups]
        _check_further_passes(self.provenance, groups)
        with ExitStack() as stack:
            self._groups = [_OpenShards.open(paths, stack) for paths in groups]
            item_ids = _common_item_ids(self._groups, groups)
            valid = np.logical_and.reduce([group.valid() for group in self._groups])
            self._valid_rows = np.flatnonzero(valid)
            self.item_ids = [item_ids[row] for row in self._valid_rows]
            self.skipped = [item_ids[row] for row in np.flatnonzero(~valid)]
            self.dims = tuple(group.dim for group in self._groups for _ in range(group.n_samples))[:samples]
            if samples is not None and len(self.dims) < samples:
                raise OvertopError(
                    f"{groups[-1][0]}: has {len(self.dims)} samples with those before it, but {samples} are "
                    f"requested; {REBUILD}"
                )
            if not item_ids:
                raise OvertopError(f"{groups[0][0]}: {_NO_ITEMS}")
            if not self.item_ids:
                raise OvertopError(f"{groups[0][0]}: every item was skipped; check the files of the data set")
            self._open_files = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open_files.close()

    @property
    def n_samples(self) -> int:
        """The number of samples S, over all encoders."""
        return len(self.dims)

    @property
    def n_items(self) -> int:
        """The number of items that were not skipped."""
        return len(self.item_ids)

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Un-normalised float32 embeddings of the items `start` to `stop`: (stop - start, D of that sample)."""
        for group in self._groups:
            if sample < group.n_samples:
                break
            sample -= group.n_samples
        return group.read(sample, self._valid_rows[start:stop])


def _check_further_passes(provenance: Sequence[Mapping[str, Any]], groups: Sequence[Sequence[str | Path]]) -> None:
    """Further MC-dropout passes (`+` in their sampling) must be of the encoder of the passes before them."""
    for (before, after), paths in zip(pairwise(provenance), groups[1:], strict=True):
        if "+" in after.get("sampling", "") and after["encoder"] != before["encoder"]:
            raise OvertopError(
                f"{paths[0]}: further passes are of another encoder; delete all passes and run the same command again"
            )


def _common_item_ids(shards: Sequence[_OpenShards], groups: Sequence[Sequence[str | Path]]) -> list[str]:
    """The names of the items, which must be the same in all groups."""
    item_ids = shards[0].item_ids()
    for group, paths in zip(shards[1:], groups[1:], strict=True):
        if group.item_ids() != item_ids:
            raise OvertopError(
                f"{paths[0]}: has other items than {groups[0][0]}; delete the older one and run the same command again"
            )
    return item_ids


def _read_common_provenance(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Verify the shards of one encoder and return the provenance they share, with their truncated captions summed.

    Raises:
        OvertopError: a shard is damaged, missing or out of order, or the shards come from different runs.
    """
    common: dict[str, Any] | None = None
    truncated = 0
    for number, path in enumerate(paths):
        provenance = read_provenance(path)
        truncated += provenance.get("truncated_captions", 0)
        if provenance.get("shard") != number or provenance.get("shards") != len(paths):
            raise OvertopError(f"{path}: is not shard {number} of {len(paths)}; {REBUILD}")
        shared = {key: value for key, value in provenance.items() if key not in _KEYS_OF_ONE_SHARD}
        if common is not None and shared != common:
            key = next(key for key in {*shared, *common} if shared.get(key) != common.get(key))
            raise OvertopError(
                f"{path}: its {key} ({shared.get(key)!r}) differs from the other shards' ({common.get(key)!r}); "
                "delete the older shards and run the same command again"
            )
        common = shared
    assert common is not None, "an encoder has at least one shard"
    return {**common, "truncated_captions": truncated}


@contextmanager
def open_posterior(
    image_paths: Sequence[str | Path], text_paths: Sequence[str | Path], samples: int | None = None
) -> Iterator[tuple[ShardSource, ShardSource]]:
    """Open the image and text embeddings of one posterior; a context manager that closes the files.

    Args:
        image_paths: the image shards of all encoders of the posterior. Shards of one encoder and one run of its
            passes are in the same folder; the paths of each folder are consecutive and in shard order.
        text_paths: the text shards, likewise.
        samples: use only the first samples, this many; None for all.

    Yields:
        The images and the texts.

    Raises:
        OvertopError: a shard is damaged, or images and captions were not embedded by the same encoders and sampling.
    """
    images_by_folder, texts_by_folder = _group_by_folder(image_paths), _group_by_folder(text_paths)
    with ShardSource(images_by_folder, samples) as images, ShardSource(texts_by_folder, samples) as texts:
        groups = zip(images_by_folder, texts_by_folder, images.provenance, texts.provenance, strict=True)
        for image_group, text_group, image_provenance, text_provenance in groups:
            for key in ("encoder", "sampling"):
                if image_provenance.get(key) != text_provenance.get(key):
                    raise OvertopError(
                        f"{image_group[0]} and {text_group[0]}: images and captions differ in their {key}; "
                        "delete the older shards and run the same command again"
                    )
        yield images, texts


@contextmanager
def open_items(paths: Sequence[str | Path], samples: int | None = None) -> Iterator[ShardSource]:
    """Open the embeddings of one modality of a posterior; a context manager that closes the files.

    Args:
        paths: its shards, in the order that `open_posterior` needs.
        samples: use only the first samples, this many; None for all.

    Raises:
        OvertopError: a shard is damaged.
    """
    with ShardSource(_group_by_folder(paths), samples) as source:
        yield source


def _group_by_folder(paths: Sequence[str | Path]) -> list[list[Path]]:
    """Consecutive paths of the same folder, as lists."""
    return [list(group) for _, group in groupby(map(Path, paths), key=lambda path: path.parent)]
