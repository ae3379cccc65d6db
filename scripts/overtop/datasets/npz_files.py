"""Embeddings of images and captions in one `.npz` file, and the checks of its arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.numpy_files import as_texts, check_real, open_npz

OWNERS = "image_of_caption"
"""Array with the image of each caption."""

_NAMES_OF = {"filenames": "image", "captions": "text"}
"""Optional arrays of strings, and the array whose rows they name."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read and check the arrays of an `.npz` file that are used.

    Returns:
        `image` (S, N, D) and `text` (S, M, D); `image_of_caption` (M,) int64, -1 where the image is unknown; if they
        are in the file, `filenames` (N,) and `captions` (M,), strings.

    Raises:
        OvertopError: the file cannot be read, or an array is missing or not as described.
    """
    arrays = _read_arrays(path)
    if not {"image", "text"} <= arrays.keys():
        raise OvertopError(f"{path}: has arrays {', '.join(sorted(arrays)) or 'none'}; it needs `image` and `text`")
    result = {key: _check_embeddings(path, key, arrays[key]) for key in ("image", "text")}
    n_rows = {key: array.shape[1] for key, array in result.items()}
    result[OWNERS] = _check_owners(path, arrays, n_rows["image"], n_rows["text"])
    for key, of in _NAMES_OF.items():
        if key in arrays:
            result[key] = _check_names(path, key, arrays[key], of, n_rows[of])
    return result


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of the file that have a meaning, and the names of the others."""
    used = ("image", "text", OWNERS, *_NAMES_OF)
    with open_npz(path) as file:
        return {name: file.read(name) if name in used else np.empty(0) for name in file.names}


def _check_embeddings(path: Path, key: str, array: np.ndarray) -> np.ndarray:
    """Embeddings as (S, n, D)."""
    if array.ndim not in (2, 3):
        raise OvertopError(f"{path}: array `{key}` has shape {array.shape}; it must be (n, D) or (S, n, D)")
    check_real(f"{path}: array `{key}`", array)
    return array[None] if array.ndim == 2 else array


def _check_owners(path: Path, arrays: Mapping[str, np.ndarray], n_images: int, n_captions: int) -> np.ndarray:
    """The row of the image of each caption, (M,) int64."""
    if OWNERS not in arrays:
        if n_images == n_captions:
            return np.arange(n_images)
        raise OvertopError(
            f"{path}: {n_images} images, {n_captions} captions and no array `{OWNERS}`; add it: for each caption the "
            "row of its image, or -1 if that is unknown"
        )
    owners = arrays[OWNERS]
    if owners.shape != (n_captions,):
        raise OvertopError(
            f"{path}: array `{OWNERS}` has shape {owners.shape}; it needs one entry for each of {n_captions} captions"
        )
    if owners.dtype.kind not in "iu":
        raise OvertopError(f"{path}: array `{OWNERS}` has dtype {owners.dtype}; save integers, -1 for unknown images")
    outside = np.flatnonzero((owners < -1) | (owners >= n_images))
    if outside.size:
        raise OvertopError(
            f"{path}: array `{OWNERS}` gives caption {outside[0]} image {owners[outside[0]]}; give an image "
            f"0..{n_images - 1}, or -1 if it is unknown"
        )
    return owners.astype(np.int64)


def _check_names(path: Path, key: str, names: np.ndarray, of: str, n: int) -> np.ndarray:
    """The names of images, or the texts of captions."""
    if names.shape != (n,):
        raise OvertopError(
            f"{path}: array `{key}` has shape {names.shape}; it needs one entry for each of the {n} rows of `{of}`"
        )
    names = as_texts(f"{path}: array `{key}`", names)
    empty = np.flatnonzero(np.char.strip(names) == "") if n else np.empty(0)
    if empty.size:
        noun = "name" if key == "filenames" else "caption"
        raise OvertopError(
            f"{path}: array `{key}` has an empty text in row {empty[0]}; write a {noun} or remove the row"
        )
    return names
