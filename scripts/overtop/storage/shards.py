"""The shard: one HDF5 file with all samples of a contiguous slice of the items of one modality.

Layout: `embedding` (S, n, D) un-normalised, `item_id` (n,), `valid` (n,); provenance as attributes, and a digest of
everything. No timestamps: the same inputs give the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, Self

import h5py
import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import decode, encode, read_arrays, write_arrays

SCHEMA = "shard/1"
CHUNK_ITEMS = 256


class EmbeddingSource(Protocol):
    """What the ranking reads: S samples of the embeddings of n items of one modality."""

    item_ids: list[str]
    dims: tuple[int, ...]

    @property
    def n_samples(self) -> int:
        """S."""
        ...

    @property
    def n_items(self) -> int:
        """n."""
        ...

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Float32 (stop - start, D of that sample), un-normalised."""
        ...


class ArraySource:
    """Embeddings in memory.

    Args:
        samples: S arrays of shape (n, D); D may differ between the members of an ensemble.
        item_ids: n names; numbered if not given.
    """

    def __init__(self, samples: Sequence[np.ndarray], item_ids: Sequence[str] | None = None) -> None:
        self._samples = list(samples)
        self.item_ids = list(item_ids) if item_ids is not None else [str(i) for i in range(len(samples[0]))]
        self.dims = tuple(sample.shape[1] for sample in self._samples)

    @property
    def n_samples(self) -> int:
        """S."""
        return len(self._samples)

    @property
    def n_items(self) -> int:
        """n."""
        return len(self.item_ids)

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Float32 (stop - start, D of that sample)."""
        return np.asarray(self._samples[sample][start:stop], dtype=np.float32)


def shard_slice(n_items: int, shard: int, shards: int) -> slice:
    """The contiguous, even slice of `n_items` that shard number `shard` of `shards` holds."""
    return slice(n_items * shard // shards, n_items * (shard + 1) // shards)


def write_shard(
    path: str | Path,
    embedding: np.ndarray,
    item_ids: Sequence[str],
    valid: np.ndarray,
    provenance: Mapping[str, Any],
) -> None:
    """Write one shard, whole or not at all.

    Args:
        embedding: (S, n, D), float32 or float16.
        item_ids: n names.
        valid: (n,) bool; False marks an item that could not be read and was skipped on purpose.
        provenance: JSON-able facts on how the shard came about.

    Raises:
        OvertopError: a valid item has an embedding that is not finite; or no space is left.
    """
    finite = np.isfinite(embedding).all(axis=(0, 2))
    broken = np.flatnonzero(valid & ~finite)
    if broken.size:
        raise OvertopError(
            f"{path}: the embedding of item {item_ids[broken[0]]!r} is not finite ({broken.size} such items); "
            "look at the item and at the encoder (half precision overflows: try dtype float32)"
        )
    if not valid.any():
        raise OvertopError(f"{path}: none of its {len(item_ids)} items could be read; look at the data set's files")
    samples, items, width = embedding.shape
    write_arrays(
        path,
        SCHEMA,
        {"embedding": embedding, "item_id": encode(item_ids), "valid": valid},
        provenance,
        chunks={"embedding": (1, max(1, min(CHUNK_ITEMS, items)), width)},
    )


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The facts a shard was written with, after all of its content was held against its digest.

    Raises:
        OvertopError: the file is missing, truncated, altered, or not a shard of this version.
    """
    return read_arrays(path, SCHEMA)[1]


@dataclass(frozen=True)
class _Group:
    """The shards of one encoder and run of passes, in order: consecutive samples of the source."""

    files: list[h5py.File]
    offsets: np.ndarray
    samples: int
    dim: int


class ShardSource:
    """The verified shards of one posterior and modality, read as one `EmbeddingSource`.

    Items that were skipped in any of the shards are left out, for all samples alike; `skipped` names them.

    Args:
        groups: for each encoder of the posterior, and each run of its passes, the paths of the shards, in order.
        samples: how many samples to use, the first ones; None for all.

    Raises:
        OvertopError: a shard is damaged, or the shards do not belong together.
    """

    def __init__(self, groups: Sequence[Sequence[str | Path]], samples: int | None = None) -> None:
        self.provenance = [_one_provenance(paths) for paths in groups]
        for before, facts, paths in zip(self.provenance, self.provenance[1:], groups[1:], strict=False):
            if "+" in facts.get("sampling", "") and facts["encoder"] != before["encoder"]:  # further passes of one
                raise OvertopError(f"{paths[0]}: its passes are of another encoder than those before; rebuild both")
        self._stack = ExitStack()
        self._groups: list[_Group] = []
        ids: list[str] = []
        valid = np.empty(0, dtype=bool)
        for number, paths in enumerate(groups):
            files = [self._stack.enter_context(h5py.File(path, "r")) for path in paths]
            group_ids = [item for file in files for item in decode(file["item_id"][...])]
            group_valid = np.concatenate([file["valid"][...] for file in files])
            if number and group_ids != ids:
                raise OvertopError(f"{paths[0]}: holds other items than {groups[0][0]}; delete the older and rebuild")
            ids, valid = group_ids, valid & group_valid if number else group_valid
            held, _, dim = files[0]["embedding"].shape
            offsets = np.cumsum([0, *(file["embedding"].shape[1] for file in files)])
            self._groups.append(_Group(files, offsets, held, dim))
        self._kept = np.flatnonzero(valid)
        self.item_ids = [ids[i] for i in self._kept]
        self.skipped = [ids[i] for i in np.flatnonzero(~valid)]
        self.dims = tuple(group.dim for group in self._groups for _ in range(group.samples))[:samples]
        if samples is not None and len(self.dims) < samples:
            raise OvertopError(f"{groups[0][0]}: holds {len(self.dims)} samples, {samples} are asked for; rebuild it")
        if not self.item_ids:
            raise OvertopError(f"{groups[0][0]}: no item is left after skipping; look at the data set's files")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @property
    def n_samples(self) -> int:
        """S, over all encoders."""
        return len(self.dims)

    @property
    def n_items(self) -> int:
        """Items that were not skipped."""
        return len(self.item_ids)

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Float32 (stop - start, D of that sample), un-normalised."""
        for group in self._groups:
            if sample < group.samples:
                break
            sample -= group.samples
        rows = self._kept[start:stop]
        parts = []
        for file, first, last in zip(group.files, group.offsets[:-1], group.offsets[1:], strict=True):
            here = rows[np.searchsorted(rows, first) : np.searchsorted(rows, last)] - first
            if here.size:
                span = file["embedding"][sample, here[0] : here[-1] + 1]
                parts.append(span[here - here[0]])
        return np.concatenate(parts).astype(np.float32, copy=False)


def _one_provenance(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Verify the shards of one encoder and return what they have in common; refuse a mixture."""
    per_shard = {"shard", "truncated_captions"}
    common: dict[str, Any] | None = None
    truncated = 0
    for number, path in enumerate(paths):
        facts = read_provenance(path)
        truncated += facts.get("truncated_captions", 0)
        if facts.get("shard") != number or facts.get("shards") != len(paths):
            raise OvertopError(f"{path}: is not shard {number} of {len(paths)}; delete it and rebuild")
        rest = {key: value for key, value in facts.items() if key not in per_shard}
        if common is not None and rest != common:
            key = next(key for key in {*rest, *common} if rest.get(key) != common.get(key))
            raise OvertopError(
                f"{path}: its {key} ({rest.get(key)!r}) differs from the other shards' ({common.get(key)!r}); "
                "delete the older shards and run the same command again"
            )
        common = rest
    assert common is not None, "an encoder has at least one shard"
    return {**common, "truncated_captions": truncated}


@contextmanager
def open_posterior(
    image_paths: Sequence[str | Path], text_paths: Sequence[str | Path], samples: int | None = None
) -> Iterator[tuple[ShardSource, ShardSource]]:
    """The image and text embeddings of one posterior.

    Args:
        image_paths: shards of all its encoders; those of one encoder and run of passes stand in one folder, in order.
        text_paths: likewise.
        samples: how many samples to use, the first ones; None for all.

    Raises:
        OvertopError: a shard is damaged, or images and captions were not embedded by the same encoders.
    """
    with ShardSource(_by_folder(image_paths), samples) as images, ShardSource(_by_folder(text_paths), samples) as texts:
        for image_facts, text_facts in zip(images.provenance, texts.provenance, strict=True):
            for key in ("encoder", "sampling"):
                if image_facts.get(key) != text_facts.get(key):
                    raise OvertopError(
                        f"{image_paths[0]} and {text_paths[0]}: images and captions differ in their {key}; "
                        "delete the older shards and run the same command again"
                    )
        yield images, texts


def _by_folder(paths: Sequence[str | Path]) -> list[list[Path]]:
    return [list(group) for _, group in groupby(map(Path, paths), key=lambda path: path.parent)]
