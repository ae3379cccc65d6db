"""Labelled images from a folder and one table (CSV or parquet) with one row per image and class.

Columns: `image` (path relative to the folder), `class` (its name), and optionally `split` (by default all rows are
`test`). An image with several rows has several classes. The classes are the sorted names of all rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from overtop.config.classes import ClassTable
from overtop.datasets.labelled import LabelledImage, LabelledImages
from overtop.datasets.raw import FetchContext, resolve_source, unknown_split_error
from overtop.datasets.table import read_rows
from overtop.errors import OvertopError
from overtop.storage.bounds import MAX_IMAGE_BYTES
from overtop.storage.files import resolve_inside
from overtop.storage.foreign import read_bytes


@contextmanager
def open_images(key: str, files: ClassTable, split: str, context: FetchContext) -> Iterator[LabelledImages]:
    """The labelled images of a split.

    Args:
        key: the key of the files in config.yaml, for messages.
        files: their entry.
        split: name of the split.
        context: settings of the run.

    Raises:
        OvertopError: the source, a file or a class is missing, or the table has no such split.
    """
    folder = resolve_source(f"{key}.source", files.source, context.mirror)
    path = folder / files.table
    rows = read_rows(path, "class")
    unnamed = rows.index[rows["image"] == ""]
    if len(unnamed):
        raise OvertopError(f"{path}: row {unnamed[0] + 1} has no image; name one or remove the row")
    unlabelled = rows.index[rows["class"].str.strip() == ""]
    if len(unlabelled):
        raise OvertopError(
            f"{path}: image {rows['image'][unlabelled[0]]!r} has no class; give it one or remove its row"
        )
    class_names = sorted(set(rows["class"].str.strip()))
    number_of = {name: number for number, name in enumerate(class_names)}
    splits = set(rows["split"]) - {""}
    rows = rows[rows["split"] == split]
    if rows.empty:
        raise unknown_split_error(split, str(path), splits)
    labels = (
        rows["class"]
        .str.strip()
        .map(number_of)
        .groupby(rows["image"], sort=False)
        .agg(lambda found: sorted(set(found)))
    )
    for image in labels.index:
        if not resolve_inside(folder, image).is_file():
            raise OvertopError(f"{folder / image} is missing; complete the source or remove its rows from {path.name}")

    def iterate() -> Iterator[LabelledImage]:
        for image, numbers in labels.items():
            yield LabelledImage(str(image), numbers, partial(read_bytes, folder / str(image), MAX_IMAGE_BYTES))

    yield LabelledImages(class_names, [], iterate)
