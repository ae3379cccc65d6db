"""Labelled images for zero-shot classification, in one of five layouts.

Whatever the layout, the raw folder of a split has the images in `images/`, the numbers of the classes of each image in
`labels.csv`, and the names of the classes and the templates in `classes.json`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.config.classes import DEFAULT_TEMPLATE, ClassTable
from overtop.config.datasets import ClassesDataset
from overtop.datasets import class_coco, class_folders, class_shards, class_table, scene_classes
from overtop.datasets.annotations import IMAGES_FOLDER
from overtop.datasets.draws import draw_items
from overtop.datasets.held_out import find_part
from overtop.datasets.labelled import LabelledImage, LabelledImages
from overtop.datasets.raw import FetchContext, raw_file, remove_other_files, resolve_source, unknown_split_error
from overtop.errors import OvertopError
from overtop.progress import track
from overtop.storage.foreign import read_text, report_damage
from overtop.storage.foreign_tables import read_columns
from overtop.storage.json_files import write_plain_json
from overtop.storage.names import FileNames
from overtop.storage.split import Split, split_from_labels
from overtop.storage.tables import write_plain_table

LABELS_FILE = "labels.csv"
CLASSES_FILE = "classes.json"

LAYOUTS: dict[str, Callable[..., AbstractContextManager[LabelledImages]]] = {
    "shards": class_shards.open_images,
    "folders": class_folders.open_images,
    "table": class_table.open_images,
    "coco": class_coco.open_images,
    "shapes": scene_classes.open_images,
}
"""For each layout the function that opens the images of a split."""


def fetch(name: str, spec: ClassesDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Write the images and labels of one split into `raw`.

    Raises:
        OvertopError: the data set has no such split, or its files cannot be fetched or are damaged.
    """
    check(name, spec, split, context)
    part = find_part(spec.held_out_splits(), split)
    origin = split if part is None else part.of
    labels: dict[str, str] = {}
    names = FileNames(f"data set {name!r}, split {split!r}")
    with LAYOUTS[spec.files.layout](f"datasets.{name}.files", spec.files, origin, context) as source:
        for image in track(_select_images(spec, split, source), "fetch", "image"):
            names.add(image.name)
            with raw_file(raw / IMAGES_FOLDER, image.name) as temporary:
                temporary.write_bytes(image.read())
            labels[image.name] = " ".join(map(str, image.labels))
    if not labels:
        raise OvertopError(f"data set {name!r}, split {split!r}: its files contain no image; check the split's place")
    order = list(labels) if source.is_shuffled else sorted(labels)
    write_plain_table(raw / LABELS_FILE, pd.DataFrame({"image": order, "classes": [labels[name] for name in order]}))
    write_plain_json(raw / CLASSES_FILE, {"names": source.class_names, "templates": source.templates})
    remove_other_files(raw, [LABELS_FILE, CLASSES_FILE, *(f"{IMAGES_FOLDER}/{image}" for image in labels)])


def check(name: str, spec: ClassesDataset, split: str, context: FetchContext) -> None:
    """Check the source as far as possible without listing its images.

    Raises:
        OvertopError: the data set has no such split, or its folder or table does not exist.
    """
    splits = spec.split_names()
    if splits is not None and split not in splits:
        raise unknown_split_error(split, f"datasets.{name}", splits)
    if (source := getattr(spec.files, "source", None)) is None:
        return
    folder = resolve_source(f"datasets.{name}.files.source", source, context.mirror)
    if isinstance(spec.files, ClassTable) and not (folder / spec.files.table).is_file():
        raise OvertopError(f"{folder / spec.files.table} is missing; write it, or correct datasets.{name}.files.table")


def _select_images(spec: ClassesDataset, split: str, source: LabelledImages) -> Iterator[LabelledImage]:
    """The images of a split: without those that another split holds out, and at most as many as its limit."""
    limit, part = spec.limit.get(split), find_part(spec.held_out_splits(), split)
    if part is None and (limit is None or source.is_shuffled):
        return islice(source.iterate(), limit)  # a single pass, which fetches no more shards than it needs
    names = np.array([image.name for image in source.iterate()])
    if part is not None:
        names = names[part.select(names.tolist(), "images")]
    if limit is not None:
        names = names[:limit] if source.is_shuffled else names[draw_items(names.tolist(), limit, 0, "limit")]
    selected = set(names.tolist())
    return (image for image in source.iterate() if image.name in selected)


def read(name: str, spec: ClassesDataset, raw: Path, split: str) -> Split:
    """The images of `split` with their classes.

    Raises:
        OvertopError: the files are not a valid split.
    """
    rows = read_columns(raw / LABELS_FILE, ["image", "classes"])
    with report_damage(raw / CLASSES_FILE, "fetch the split again"):
        classes = json.loads(read_text(raw / CLASSES_FILE))
        names, templates = list(classes["names"]), list(classes["templates"])
    with report_damage(raw / LABELS_FILE, "fetch the split again"):
        numbers = [[int(number) for number in text.split()] for text in rows["classes"]]
    return split_from_labels(
        image_ids=rows["image"].tolist(),
        image_paths=[f"{IMAGES_FOLDER}/{image}" for image in rows["image"]],
        classes_of_image=numbers,
        names=names,
        templates=spec.templates or templates or [DEFAULT_TEMPLATE],
    )
