"""Named arrays in one HDF5 file that is whole, of a known kind, and the same bytes for the same content."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from overtop.errors import OvertopError
from overtop.storage.files import atomic_path


def write_arrays(
    path: str | Path,
    schema: str,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    chunks: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """Write `arrays` with a digest of everything and no timestamps: to a temporary name, verified, then renamed.

    Args:
        path: the file.
        schema: kind and version of the content, such as `ranking/1`; a reader asks for the same.
        arrays: by name; a name may hold slashes, which make groups.
        attributes: JSON-able provenance.
        chunks: chunk shapes of the arrays that are read in parts; those get a checksum per chunk.
    """
    chunks = chunks or {}
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", libver=("v110", "v110"), track_order=False) as file:
            for name in sorted(arrays):
                layout = {"chunks": chunks[name], "fletcher32": True} if name in chunks else {}
                file.create_dataset(name, data=arrays[name], track_times=False, **layout)
            file.attrs["schema"] = schema
            file.attrs["attributes"] = json.dumps(dict(attributes), sort_keys=True)
            file.attrs["content_sha256"] = _digest(schema, arrays, attributes)
        read_arrays(temporary, schema)


def read_arrays(path: str | Path, schema: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and attributes that `write_arrays` wrote.

    Raises:
        OvertopError: the file is missing, truncated, altered, or of another kind or version.
    """
    if not Path(path).is_file():
        raise OvertopError(f"{path}: no such file; run the rule that makes it")
    arrays: dict[str, np.ndarray] = {}

    def collect(name: str, node: h5py.Dataset | h5py.Group) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = node[...]

    try:
        with h5py.File(path, "r") as file:
            found = file.attrs["schema"]
            attributes = json.loads(file.attrs["attributes"])
            expected = file.attrs["content_sha256"]
            file.visititems(collect)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise OvertopError(f"{path}: truncated or not written by overtop ({error}); delete it and rebuild") from error
    if found != schema:
        raise OvertopError(f"{path}: holds {found!r}, this version reads {schema!r}; delete it and rebuild")
    if expected != _digest(schema, arrays, attributes):
        raise OvertopError(f"{path}: content differs from its digest; delete it and rebuild")
    return arrays, attributes


def encode(names: Sequence[str]) -> np.ndarray:
    """Names as fixed-length UTF-8, which HDF5 stores byte for byte (a variable-length string is a pointer)."""
    return np.array([name.encode() for name in names], dtype=np.bytes_)


def decode(names: np.ndarray) -> list[str]:
    """The inverse of `encode`."""
    return [name.decode() for name in names]


def _digest(schema: str, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps([schema, dict(attributes)], sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
