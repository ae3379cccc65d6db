"""Named arrays in one verified HDF5 file; the same content always gives the same bytes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from overtop.errors import OvertopError
from overtop.storage.bounds import largest_array
from overtop.storage.digests import HDF5_USER_BLOCK, REBUILD, check_digest, store_digest
from overtop.storage.files import atomic_path
from overtop.storage.foreign import report_damage

_Array = TypeVar("_Array", np.ndarray, h5py.Dataset)


def write_arrays(
    path: str | Path,
    schema: str,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    chunks: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """Write arrays and attributes atomically, with a digest and without timestamps.

    Args:
        path: the file.
        schema: kind and version of the content, such as `ranking/1`; the reader must expect the same.
        arrays: by name; slashes in a name create HDF5 groups.
        attributes: JSON-serialisable provenance.
        chunks: chunk shapes of the arrays that are read in parts; these arrays get a checksum per chunk.
    """
    chunks = chunks or {}
    with atomic_hdf5(path) as file:
        for name in sorted(arrays):
            layout = {"chunks": chunks[name], "fletcher32": True} if name in chunks else {}
            file.create_dataset(name, data=arrays[name], track_times=False, **layout)
        file.attrs["schema"] = np.bytes_(schema.encode())
        file.attrs["attributes"] = np.bytes_(json.dumps(dict(attributes), sort_keys=True).encode())


@contextmanager
def atomic_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file to fill, which appears with its digest when it is complete."""
    with atomic_path(path) as temporary:
        with (
            _PatientFile(temporary, "w+") as target,
            h5py.File(
                target, "w", libver=("v110", "v110"), track_order=False, userblock_size=len(HDF5_USER_BLOCK)
            ) as file,
        ):
            yield file
        with open(temporary, "rb+") as written:
            written.write(HDF5_USER_BLOCK)
        store_digest(temporary, "hdf5")


class _PatientFile(FileIO):
    """A file that seems to accept everything when the disk is full, and raises the error when it is closed.

    HDF5 cannot close a file that it cannot write to; it tries again when the process ends, which then crashes.
    """

    _failure: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all bytes, or none after a failure."""
        rest = memoryview(content).cast("B")
        try:
            while len(rest) and self._failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._failure = error
        return memoryview(content).nbytes

    def __exit__(self, *exc_info: object) -> None:
        self.close()
        if self._failure is not None:
            raise self._failure


def read_arrays(path: str | Path, schema: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read and verify the arrays and attributes of a file that `write_arrays` wrote.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has another schema.
    """
    return _read_verified(path, schema, lambda dataset: dataset[...])


def verify_arrays(path: str | Path, schema: str) -> dict[str, Any]:
    """Verify a file as `read_arrays` does, without its arrays in memory, and return its attributes.

    Raises:
        OvertopError: as `read_arrays`.
    """
    return _read_verified(path, schema, lambda dataset: dataset)[1]


def _read_verified(
    path: str | Path, schema: str, load: Callable[[h5py.Dataset], _Array]
) -> tuple[dict[str, _Array], dict[str, Any]]:
    """The arrays of a file as `load` returns them, and the attributes; both were verified."""
    check_digest(path, "hdf5")
    with report_damage(path, REBUILD, "not written by overtop"), open_arrays(path) as file:
        stored_schema, attributes = _text(file, "schema"), dict(json.loads(_text(file, "attributes")))
        arrays = {name: load(data) for name, data in _datasets(file).items()} if stored_schema == schema else {}
    if stored_schema != schema:
        raise OvertopError(f"{path}: has schema {stored_schema!r}, expected {schema!r}; {REBUILD}")
    return arrays, attributes


def _text(file: h5py.File, name: str) -> str:
    """An attribute of fixed length: those of variable length are pointers, which may lead anywhere."""
    if file.attrs.get_id(name).dtype.kind != "S":
        raise ValueError(f"attribute {name!r} is no text of fixed length")
    return bytes(file.attrs[name]).decode()


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All arrays of an open file; links are not followed.

    Raises:
        ValueError: an array is in another file, has no fixed size, or is larger than the bytes that are stored for it
            can reasonably be.
    """
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, node: h5py.Dataset | h5py.Group) -> None:
        if not isinstance(node, h5py.Dataset):
            return
        if node.dtype.hasobject:
            raise ValueError(f"array {name!r} has elements of variable length")
        if node.external or node.is_virtual or node.nbytes > largest_array(node.id.get_storage_size()):
            raise ValueError(f"array {name!r} claims {node.nbytes:,} bytes, which are not in the file")
        datasets[name] = node

    file.visititems(collect)
    return datasets


def open_arrays(path: str | Path) -> h5py.File:
    """Open a file that `write_arrays` wrote, to read parts of it.

    There are no locks: no process writes to a file under its final name, and many file systems of clusters have none.
    """
    return h5py.File(path, "r", locking=False)


def encode_strings(strings: Sequence[str]) -> np.ndarray:
    """Strings as an array of fixed-length UTF-8 bytes.

    HDF5 stores variable-length strings as pointers, so their files would not be reproducible byte for byte.
    """
    return np.array([string.encode() for string in strings], dtype=np.bytes_)


def decode_strings(array: np.ndarray) -> list[str]:
    """The strings that `encode_strings` encoded."""
    return [string.decode() for string in array]
