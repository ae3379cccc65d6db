"""Named arrays in one verified HDF5 file; the same content always gives the same bytes."""

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
    """Write arrays and attributes atomically, with a digest of all content and without timestamps.

    The temporary file is read back and verified before it is renamed.

    Args:
        path: the file.
        schema: kind and version of the content, such as `ranking/1`; the reader must expect the same.
        arrays: by name; slashes in a name create HDF5 groups.
        attributes: JSON-serialisable provenance.
        chunks: chunk shapes of the arrays that are read in parts; these arrays get a checksum per chunk.
    """
    chunks = chunks or {}
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", libver=("v110", "v110"), track_order=False) as file:
            for name in sorted(arrays):
                layout = {"chunks": chunks[name], "fletcher32": True} if name in chunks else {}
                file.create_dataset(name, data=arrays[name], track_times=False, **layout)
            file.attrs["schema"] = schema
            file.attrs["attributes"] = json.dumps(dict(attributes), sort_keys=True)
            file.attrs["content_sha256"] = _content_digest(schema, arrays, attributes)
        read_arrays(temporary, schema)


def read_arrays(path: str | Path, schema: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read and verify the arrays and attributes of a file that `write_arrays` wrote.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has another schema.
    """
    if not Path(path).is_file():
        raise OvertopError(f"{path}: no such file; run the rule that makes it")
    arrays: dict[str, np.ndarray] = {}

    def collect(name: str, node: h5py.Dataset | h5py.Group) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = node[...]

    try:
        with h5py.File(path, "r") as file:
            stored_schema = file.attrs["schema"]
            attributes = json.loads(file.attrs["attributes"])
            stored_digest = file.attrs["content_sha256"]
            file.visititems(collect)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise OvertopError(f"{path}: truncated or not written by overtop ({error}); delete it and rebuild") from error
    if stored_schema != schema:
        raise OvertopError(f"{path}: has schema {stored_schema!r}, expected {schema!r}; delete it and rebuild")
    if stored_digest != _content_digest(schema, arrays, attributes):
        raise OvertopError(f"{path}: content differs from its digest; delete it and rebuild")
    return arrays, attributes


def encode_strings(strings: Sequence[str]) -> np.ndarray:
    """Strings as an array of fixed-length UTF-8 bytes.

    HDF5 stores variable-length strings as pointers, so their files would not be reproducible byte for byte.
    """
    return np.array([string.encode() for string in strings], dtype=np.bytes_)


def decode_strings(array: np.ndarray) -> list[str]:
    """The strings that `encode_strings` encoded."""
    return [string.decode() for string in array]


def _content_digest(schema: str, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> str:
    """Hex sha256 of the schema, the attributes, and the name, dtype, shape and bytes of each array."""
    digest = hashlib.sha256(json.dumps([schema, dict(attributes)], sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
