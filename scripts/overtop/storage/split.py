"""The file of a split: one parquet file with its images, its captions or classes, and which of them match."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from overtop.errors import OvertopError
from overtop.storage.split_types import EccvJudgments, Split, split_from_labels
from overtop.storage.tables import open_parquet, write_arrow

__all__ = ["EccvJudgments", "Split", "read_split", "split_from_frame", "split_from_labels", "write_split"]

SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("image_path", pa.string()),
        ("caption_id", pa.string()),
        ("caption", pa.string()),
        ("positives", pa.list_(pa.string())),
        ("level", pa.string()),
    ]
)
ABSENT_FIELD = pa.field("absent", pa.bool_())
"""A further column of the splits of variants: whether the image and its captions are missing from the galleries."""

SAMPLE_KEY = b"sample"
"""Key in the metadata of a split that is a sample of another one."""

ECCV_FIELDS = [
    pa.field("eccv_positives", pa.list_(pa.string())),
    pa.field("eccv_caption_judged", pa.bool_()),
    pa.field("eccv_image_judged", pa.bool_()),
]
"""Further columns of splits with `EccvJudgments`."""

CLASSES_SCHEMA = pa.schema([("image_id", pa.string()), ("image_path", pa.string()), ("classes", pa.list_(pa.int64()))])
"""Columns of the splits of data sets of classes."""
CLASSES_KEY = b"classes"
"""Key of the class names and the templates in the metadata of such a split."""


def write_split(path: str | Path, split: Split) -> None:
    """Write a split as parquet, atomically.

    There is one row per caption (columns: `SCHEMA`, further ones if needed), and one per image without a caption. What
    is unknown of a row is null: the columns of the caption, or those of the image. Rows are ordered by image; those of
    captions whose image is unknown are last. Of a data set of classes there is one row per image (columns:
    `CLASSES_SCHEMA`), and the classes are in the metadata.
    """
    if split.labels is not None:
        _write_classes(path, split)
        return
    images, captions = _rows(split)
    columns = {
        "image_id": _take(split.image_ids, images),
        "image_path": _take(split.image_paths, images),
        "caption_id": _take(split.caption_ids, captions),
        "caption": _take(split.captions, captions),
        "positives": _take(split.extended and _image_names(split, split.extended), captions),
        "level": _take(split.levels, captions),
    }
    schema = SCHEMA
    if split.absent is not None:
        columns["absent"], schema = _take(split.absent.tolist(), images), schema.append(ABSENT_FIELD)
    if split.eccv is not None:
        schema = pa.schema([*schema, *ECCV_FIELDS])
        columns["eccv_positives"] = _take(_image_names(split, split.eccv.positives), captions)
        columns["eccv_caption_judged"] = _take(split.eccv.judged_captions.tolist(), captions)
        columns["eccv_image_judged"] = _take(split.eccv.judged_images.tolist(), images)
    if split.is_sample:
        schema = schema.with_metadata({SAMPLE_KEY: b"true"})
    write_arrow(path, pa.table(columns, schema=schema))


def _rows(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """The image and the caption of each row of the file, each -1 if the row has none."""
    without_caption = np.flatnonzero(~split.has_caption)
    images = np.append(split.image_of_caption, without_caption)
    captions = np.append(np.arange(len(split.captions)), np.full(len(without_caption), -1))
    order = np.argsort(np.where(images < 0, len(split.image_ids), images), kind="stable")
    return images[order], captions[order]


def _take(values: Sequence[Any] | None, rows: np.ndarray) -> list[Any]:
    """The values of the given rows; None for row -1, or if there are no values."""
    return [None if values is None or row < 0 else values[row] for row in rows.tolist()]


def _image_names(split: Split, positives: list[np.ndarray]) -> list[list[str]]:
    """The ids of the positive images of each caption."""
    return [[split.image_ids[image] for image in images] for images in positives]


def read_split(path: str | Path) -> Split:
    """Read a split that `write_split` wrote.

    Raises:
        OvertopError: the file is missing or damaged, or its content is not a valid split; the message names the file
            and the problem.
    """
    file = open_parquet(path)
    metadata, table = file.schema_arrow.metadata or {}, file.read()
    try:
        if CLASSES_KEY in metadata:
            return _classes_from_columns(table.to_pydict(), json.loads(metadata[CLASSES_KEY]))
        return split_from_frame(table.to_pandas(), is_sample=SAMPLE_KEY in metadata)
    except OvertopError as error:
        raise OvertopError(f"{path}: {error}") from error


def _write_classes(path: str | Path, split: Split) -> None:
    assert split.labels is not None, "only for data sets of classes"
    classes_of_image: list[list[int]] = [[] for _ in split.image_ids]
    for number, images in enumerate(split.labels):
        for image in images.tolist():
            classes_of_image[image].append(number)
    classes = {"ids": split.caption_ids, "names": split.captions, "templates": split.templates}
    schema = CLASSES_SCHEMA.with_metadata({CLASSES_KEY: json.dumps(classes)})
    columns = {"image_id": split.image_ids, "image_path": split.image_paths, "classes": classes_of_image}
    write_arrow(path, pa.table(columns, schema=schema))


def _classes_from_columns(columns: Mapping[str, list[Any]], classes: Mapping[str, list[str]]) -> Split:
    return split_from_labels(
        columns["image_id"], columns["image_path"], columns["classes"], classes["names"], classes["templates"]
    )


def split_from_frame(frame: pd.DataFrame, is_sample: bool = False) -> Split:
    """A split from a table with one row per caption, and one per image without a caption, in any order.

    Images are ordered by their first row; the captions of an image keep the order of their rows.

    Args:
        frame: the columns of `SCHEMA`, `ABSENT_FIELD` and `ECCV_FIELDS`; all but those of images and captions may be
            missing. `image_id` is null if the image is unknown, `caption_id` if the image has no caption.
        is_sample: as in `Split`.

    Raises:
        OvertopError: the rows are not a valid split.
    """
    frame = frame.reset_index(drop=True)
    image_of_row, image_ids = pd.factorize(frame["image_id"])
    images = frame[image_of_row >= 0].drop_duplicates("image_id")
    has_caption = frame["caption_id"].notna().to_numpy()
    image_of_caption = image_of_row[has_caption]
    order = np.argsort(np.where(image_of_caption < 0, len(image_ids), image_of_caption), kind="stable")
    captions = frame[has_caption].iloc[order].reset_index(drop=True)
    extended = levels = absent = None
    if _is_complete(captions, "positives"):
        extended = _image_indices(captions["positives"], image_ids)
    if _is_complete(captions, "level"):
        levels = captions["level"].tolist()
    if _is_complete(images, "absent"):
        absent = images["absent"].to_numpy(dtype=bool)
    return Split(
        image_ids=list(image_ids),
        image_paths=images["image_path"].tolist(),
        caption_ids=captions["caption_id"].tolist(),
        captions=captions["caption"].tolist(),
        image_of_caption=image_of_caption[order].astype(np.int64),
        extended=extended,
        levels=levels,
        eccv=_eccv_judgments(images, captions, image_ids),
        absent=absent,
        is_sample=is_sample,
    )


def _is_complete(rows: pd.DataFrame, column: str) -> bool:
    """Whether there are rows, and all of them have a value in a column."""
    return column in rows and bool(len(rows)) and bool(rows[column].notna().all())


def _image_indices(positives: Iterable[Iterable[str]], image_ids: Sequence[str]) -> list[np.ndarray]:
    """The sorted indices of the positive images of each caption."""
    index = {image_id: i for i, image_id in enumerate(image_ids)}
    return [np.array(sorted(index[image_id] for image_id in images), dtype=np.int64) for images in positives]


def _eccv_judgments(images: pd.DataFrame, captions: pd.DataFrame, image_ids: Sequence[str]) -> EccvJudgments | None:
    if not _is_complete(captions, "eccv_positives"):
        return None
    return EccvJudgments(
        _image_indices(captions["eccv_positives"], image_ids),
        captions["eccv_caption_judged"].to_numpy(dtype=bool),
        images["eccv_image_judged"].to_numpy(dtype=bool),
    )
