"""A split of a data set: images, their captions, and which of them match; written as one parquet file."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from overtop.errors import OvertopError
from overtop.storage.files import atomic_path
from overtop.terms import DIRECTIONS, Direction

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


@dataclass(frozen=True)
class EccvJudgments:
    """Positives by ECCV Caption (Chun et al. 2022), whose annotators judged candidates for some queries only.

    Attributes:
        positives: for each caption the indices of the images that match it.
        judged_captions: (M,) bool, captions that were judged as queries.
        judged_images: (N,) bool, images that were judged as queries.
    """

    positives: list[np.ndarray]
    judged_captions: np.ndarray
    judged_images: np.ndarray


@dataclass(frozen=True)
class Split:
    """One split of a data set. Captions are ordered by image, in the order of `image_ids`.

    Attributes:
        image_ids: N unique names.
        image_paths: N paths relative to the data folder; empty strings if the data set has no image files.
        caption_ids: M unique names.
        captions: M texts.
        image_of_caption: (M,) int64, index of the image that each caption was written for (the labelled pair).
        extended: for each caption the indices of all images it is known to describe, its own included; None if only
            the labelled pairs are known.
        levels: for each caption its level of precision, if the data set has such levels; else None.
        eccv: positives of the queries that ECCV Caption judged; None if the data set does not use it.
        absent: (N,) bool, images that are missing from the gallery of images, and whose captions are missing from the
            gallery of captions; these images and captions remain queries. None if the galleries are complete.
        labels: for a data set of classes, the sorted indices of the images of each class. Its captions are then the M
            class names, which may repeat, with the numbers of the classes as ids; `image_of_caption` is -1. An image
            may have several classes, and a class no image. None for a data set of captions.
        templates: prompts of a data set of classes, in which `{c}` stands for the class name.

    Raises:
        OvertopError: an id is not unique, a caption is empty or out of order, or an image has no caption or class.
    """

    image_ids: list[str]
    image_paths: list[str]
    caption_ids: list[str]
    captions: list[str]
    image_of_caption: np.ndarray
    extended: list[np.ndarray] | None = None
    levels: list[str] | None = None
    eccv: EccvJudgments | None = None
    absent: np.ndarray | None = None
    labels: list[np.ndarray] | None = None
    templates: list[str] | None = None

    def __post_init__(self) -> None:
        _check_unique("image", self.image_ids)
        _check_unique("caption", self.caption_ids)
        if self.labels is not None:
            _check_classes(self)
            return
        for caption_id, caption in zip(self.caption_ids, self.captions, strict=True):
            if not caption.strip():
                raise OvertopError(f"caption {caption_id!r} is empty; write a caption or remove its row")
        if any(later < earlier for earlier, later in pairwise(self.image_of_caption.tolist())):
            raise OvertopError("captions must be ordered by image; sort them")
        without_caption = np.setdiff1d(np.arange(len(self.image_ids)), self.image_of_caption)
        if without_caption.size:
            raise OvertopError(f"image {self.image_ids[without_caption[0]]!r} has no caption; give it one or remove it")

    @property
    def is_classes(self) -> bool:
        """Whether the captions are the names of classes, of which each image has at least one."""
        return self.labels is not None

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions in which the split is ranked: for a data set of classes, images rank the classes."""
        return ("i2t",) if self.is_classes else DIRECTIONS

    @property
    def positives(self) -> Sequence[np.ndarray] | np.ndarray:
        """For each caption the indices of its labelled images."""
        return self.image_of_caption[:, None] if self.labels is None else self.labels

    def image_rows(self, caption_ids: Sequence[str], image_ids: Sequence[str]) -> np.ndarray:
        """For each caption the row of its own image among `image_ids`, int64; -1 if that image is not listed.

        Args:
            caption_ids: captions of this split.
            image_ids: images of this split, such as those that were embedded.

        Raises:
            OvertopError: a caption is not in the split.
        """
        row_of_image = {image_id: row for row, image_id in enumerate(image_ids)}
        image_ids_of_captions = (self.image_ids[image] for image in self.image_of_caption)
        image_of = dict(zip(self.caption_ids, image_ids_of_captions, strict=True))
        unknown = next((caption_id for caption_id in caption_ids if caption_id not in image_of), None)
        if unknown is not None:
            raise OvertopError(f"caption {unknown!r} is not in the split; embed the split again")
        return np.array([row_of_image.get(image_of[caption_id], -1) for caption_id in caption_ids], dtype=np.int64)


def _check_unique(item: str, ids: Sequence[str]) -> None:
    """Raise an error that names the first repeated id; `item` is what the ids identify."""
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise OvertopError(f"{item} id {repeated[0]!r} occurs more than once; ids must be unique within a split")


def _check_classes(split: Split) -> None:
    """Raise an error unless a data set of classes has prompts, and a class for every image."""
    assert split.labels is not None, "only for data sets of classes"
    if not split.templates or not all("{c}" in template for template in split.templates):
        raise OvertopError("a data set of classes needs templates with {c} in place of the class name; add one")
    empty = next((i for i, name in enumerate(split.captions) if not name.strip()), None)
    if empty is not None:
        raise OvertopError(f"class {split.caption_ids[empty]} has no name; name it")
    labelled = np.concatenate([np.empty(0, dtype=np.int64), *split.labels])
    without_class = np.setdiff1d(np.arange(len(split.image_ids)), labelled)
    if without_class.size:
        raise OvertopError(f"image {split.image_ids[without_class[0]]!r} has no class; give it one or remove it")


def write_split(path: str | Path, split: Split) -> None:
    """Write a split as parquet, atomically.

    There is one row per caption (columns: `SCHEMA`, further ones if needed); of a data set of classes one row per image
    (columns: `CLASSES_SCHEMA`), and the classes are in the metadata.
    """
    if split.labels is not None:
        _write_classes(path, split)
        return
    images = split.image_of_caption
    columns = {
        "image_id": [split.image_ids[i] for i in images],
        "image_path": [split.image_paths[i] for i in images],
        "caption_id": split.caption_ids,
        "caption": split.captions,
        "positives": [None] * len(images) if split.extended is None else _image_names(split, split.extended),
        "level": split.levels if split.levels is not None else pa.nulls(len(images)),
    }
    schema = SCHEMA
    if split.absent is not None:
        columns["absent"], schema = split.absent[images], schema.append(ABSENT_FIELD)
    if split.eccv is not None:
        schema = pa.schema([*schema, *ECCV_FIELDS])
        columns["eccv_positives"] = _image_names(split, split.eccv.positives)
        columns["eccv_caption_judged"] = split.eccv.judged_captions
        columns["eccv_image_judged"] = split.eccv.judged_images[images]
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


def _image_names(split: Split, positives: list[np.ndarray]) -> list[list[str]]:
    """The ids of the positive images of each caption."""
    return [[split.image_ids[image] for image in images] for images in positives]


def read_split(path: str | Path) -> Split:
    """Read a split that `write_split` wrote.

    Raises:
        OvertopError: the content is not a valid split; the message names the file and the problem.
    """
    stored = pq.read_schema(path)
    if CLASSES_KEY in (stored.metadata or {}):
        return _read_classes(path, json.loads(stored.metadata[CLASSES_KEY]))
    frame = pq.read_table(path, schema=pa.schema([*SCHEMA, ABSENT_FIELD, *ECCV_FIELDS])).to_pandas()
    try:
        return split_from_frame(frame)
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
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


def _read_classes(path: str | Path, classes: Mapping[str, list[str]]) -> Split:
    columns = pq.read_table(path).to_pydict()
    try:
        return split_from_labels(
            columns["image_id"], columns["image_path"], columns["classes"], classes["names"], classes["templates"]
        )
    except OvertopError as error:
        raise OvertopError(f"{path}: {error}") from error


def split_from_labels(
    image_ids: Sequence[str],
    image_paths: Sequence[str],
    classes_of_image: Sequence[Sequence[int]],
    names: Sequence[str],
    templates: Sequence[str],
) -> Split:
    """A split of a data set of classes.

    Args:
        image_ids: N unique names.
        image_paths: N paths relative to the data folder.
        classes_of_image: for each image the numbers of its classes, from 0.
        names: M class names.
        templates: prompts with `{c}` in place of the class name.

    Raises:
        OvertopError: a class has no such number, or the rows are not a valid split.
    """
    images = np.repeat(np.arange(len(image_ids)), [len(classes) for classes in classes_of_image])
    numbers = np.array([number for classes in classes_of_image for number in classes], dtype=np.int64)
    outside = np.flatnonzero((numbers < 0) | (numbers >= len(names)))
    if outside.size:
        image = image_ids[images[outside[0]]]
        raise OvertopError(f"image {image!r} has class {numbers[outside[0]]}, but classes are 0 to {len(names) - 1}")
    return Split(
        image_ids=list(image_ids),
        image_paths=list(image_paths),
        caption_ids=[str(number) for number in range(len(names))],
        captions=list(names),
        image_of_caption=np.full(len(names), -1, dtype=np.int64),
        labels=[np.unique(images[numbers == number]) for number in range(len(names))],
        templates=list(templates),
    )


def split_from_frame(frame: pd.DataFrame) -> Split:
    """A split from a table with one row per caption, in any order.

    Images are ordered by their first row; the captions of an image keep the order of their rows.

    Args:
        frame: the columns of `SCHEMA`, `ABSENT_FIELD` and `ECCV_FIELDS`; all but those of images and captions may be
            missing.

    Raises:
        OvertopError: the rows are not a valid split.
    """
    frame = frame.reset_index(drop=True)
    image_of_caption, image_ids = pd.factorize(frame["image_id"])
    order = np.argsort(image_of_caption, kind="stable")
    frame, image_of_caption = frame.iloc[order].reset_index(drop=True), image_of_caption[order]
    images = frame.drop_duplicates("image_id")
    extended = levels = absent = None
    if "positives" in frame and frame["positives"].notna().all():
        extended = _image_indices(frame["positives"], image_ids)
    if "level" in frame and frame["level"].notna().all():
        levels = frame["level"].tolist()
    if "absent" in frame and frame["absent"].notna().all():
        absent = images["absent"].to_numpy(dtype=bool)
    return Split(
        image_ids=list(image_ids),
        image_paths=images["image_path"].tolist(),
        caption_ids=frame["caption_id"].tolist(),
        captions=frame["caption"].tolist(),
        image_of_caption=image_of_caption.astype(np.int64),
        extended=extended,
        levels=levels,
        eccv=_eccv_judgments(frame, image_ids),
        absent=absent,
    )


def _image_indices(positives: Iterable[Iterable[str]], image_ids: Sequence[str]) -> list[np.ndarray]:
    """The sorted indices of the positive images of each caption."""
    index = {image_id: i for i, image_id in enumerate(image_ids)}
    return [np.array(sorted(index[image_id] for image_id in images), dtype=np.int64) for images in positives]


def _eccv_judgments(frame: pd.DataFrame, image_ids: Sequence[str]) -> EccvJudgments | None:
    if "eccv_positives" not in frame or frame["eccv_positives"].isna().any():
        return None
    images = frame.drop_duplicates("image_id")
    return EccvJudgments(
        _image_indices(frame["eccv_positives"], image_ids),
        frame["eccv_caption_judged"].to_numpy(dtype=bool),
        images["eccv_image_judged"].to_numpy(dtype=bool),
    )
