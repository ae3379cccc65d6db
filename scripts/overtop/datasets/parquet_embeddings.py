"""Embeddings of images and captions in one `.parquet` file, as exports of vector databases have them.

There is one row per pair, with the columns `image_embedding` and `text_embedding`, lists of D numbers, and optionally
the name of the image and the caption, under their usual names (`overtop.datasets.columns`). A row without
`text_embedding` is an image without a caption, one without `image_embedding` a caption whose image is unknown.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from overtop.datasets.columns import USUAL_NAMES
from overtop.datasets.npz_files import OWNERS
from overtop.errors import OvertopError
from overtop.storage.arrow_files import batch_columns, iterate_batches
from overtop.storage.foreign_tables import read_columns
from overtop.terms import MODALITIES, Modality

COLUMN_OF: dict[Modality, str] = {"image": "image_embedding", "text": "text_embedding"}
"""Column of the embeddings of each modality."""


def read_parquet(path: Path) -> dict[str, np.ndarray]:
    """Read and check the columns of a file.

    Returns:
        The arrays that `overtop.datasets.npz_files.read_npz` returns.

    Raises:
        OvertopError: the file cannot be read, or a column is missing or not as described.
    """
    names = batch_columns(path)
    missing = [column for column in COLUMN_OF.values() if column not in names]
    if missing:
        raise OvertopError(
            f"{path}: no column {missing[0]!r}; its columns are {', '.join(map(repr, names))}; it needs "
            f"{' and '.join(COLUMN_OF.values())}, lists of numbers"
        )
    (has_image, image), (has_text, text) = (_read_lists(path, COLUMN_OF[modality]) for modality in MODALITIES)
    owners = np.where(has_image, np.cumsum(has_image) - 1, -1)[has_text]
    arrays = {"image": image, "text": text, OWNERS: owners}
    for array, role, has_row in (("filenames", "image", has_image), ("captions", "caption", has_text)):
        column = next((name for name in USUAL_NAMES[role] if name in names), None)
        if column is not None:
            arrays[array] = _read_names(path, column, has_row)
    return arrays


def _read_lists(path: Path, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Which rows have a list, (n,) bool, and all lists, (1, rows, D)."""
    valid: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    for batch in iterate_batches(path, [column]):
        valid.append(np.asarray(batch[column].is_valid()))
        lists = batch[column].drop_null()
        if not _has_numbers(lists.type):
            raise OvertopError(f"{path}: column {column!r} has values of type {lists.type}; write lists of numbers")
        widths = {*(part.shape[1] for part in parts), *lists.value_lengths().to_pylist()}
        if len(widths) > 1 or lists.flatten().null_count:
            raise OvertopError(f"{path}: column {column!r} has lists of different lengths, or without a number")
        if len(lists):
            parts.append(lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1).copy())
    if not parts:
        raise OvertopError(f"{path}: column {column!r} has no embedding; write lists of numbers")
    return np.concatenate(valid), np.concatenate(parts)[None]


def _has_numbers(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    return pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)


def _read_names(path: Path, column: str, has_row: np.ndarray) -> np.ndarray:
    """The names or captions of the rows that have an embedding."""
    texts = read_columns(path, [column])[column].to_numpy(dtype=object)
    empty = np.flatnonzero(has_row & (np.char.strip(texts.astype(str)) == ""))
    if empty.size:
        raise OvertopError(f"{path}: column {column!r} is empty in row {empty[0]}; write a text")
    return texts[has_row]
