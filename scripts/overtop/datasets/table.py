"""A folder of images and one table (CSV, TSV or parquet) with one row per caption.

Columns: `image` (path relative to the folder) and `caption`, or other usual names (`overtop.datasets.columns`);
optional `split` (by default all rows are `test`), `caption_id`, and `positives` (paths of the images that the caption
is known to describe, separated by `|`).

An image with an empty caption is a gallery item that no caption is known to describe; a caption with an empty image is
a query whose image is unknown.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.config.dataset_base import ALL_IMAGES
from overtop.config.datasets import Columns, TableDataset
from overtop.datasets.columns import USUAL, find_columns
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_source, unknown_split_error
from overtop.errors import OvertopError
from overtop.storage.foreign_tables import column_names, read_columns
from overtop.storage.names import FileNames
from overtop.storage.split import Split, split_from_frame


def fetch(name: str, spec: TableDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Copy the table, and the images of all its rows of `split`, into `raw`.

    Raises:
        OvertopError: the source or a file is missing, or the table or its rows are not valid.
    """
    folder = check(name, spec, split, context)
    path = folder / spec.table
    rows = _read_pairs(path, spec.columns)
    rows = rows[rows["split"] == split]
    split_from_rows(path, rows)  # reports mistakes with the name of the user's file
    images = [f"{_prefix(spec)}{image}" for image in sorted(set(rows["image"]) - {""})]
    copy_into(raw, folder, {name: name for name in [spec.table, *images]})
    remove_other_files(raw, [spec.table, *images])


def check(name: str, spec: TableDataset, split: str, context: FetchContext) -> Path:
    """Check the table as far as possible without reading its rows, and return its folder.

    Raises:
        OvertopError: the source, the table or a column is missing, or no row is of this split.
    """
    folder = resolve_source(f"datasets.{name}.source", spec.source, context.mirror)
    path = folder / spec.table
    if not path.is_file():
        raise OvertopError(f"{path} is missing; write it, or name another file: datasets.{name}.table")
    columns = column_names(path)
    find_columns(path, columns, ["image", "caption"], spec.columns)
    has_splits = "split" in columns
    if spec.split is not None and has_splits:
        raise OvertopError(f"{path}: has a column 'split'; remove it, or datasets.{name}.split")
    splits = set(read_columns(path, ["split"])["split"]) - {""} if has_splits else {ALL_IMAGES}
    if split not in splits:
        fix = "" if has_splits else f"draw it by shares, datasets.{name}.split: {{val: 0.2}}"
        raise unknown_split_error(split, str(path), splits, fix)
    return folder


def _prefix(spec: TableDataset) -> str:
    """What is before the name of an image in its path inside the source."""
    return "" if spec.images == "." else f"{spec.images.rstrip('/')}/"


def read(name: str, spec: TableDataset, raw: Path, split: str) -> Split:
    """The rows of `split`.

    Raises:
        OvertopError: the table or its rows are not valid.
    """
    path = raw / spec.table
    rows = _read_pairs(path, spec.columns)
    return split_from_rows(path, rows[rows["split"] == split], _prefix(spec))


def split_from_rows(path: Path, rows: pd.DataFrame, folder: str = "") -> Split:
    """The split of some rows of a table.

    Args:
        path: the table, for messages.
        rows: columns image and caption, empty where there is none, and optionally caption_id and positives.
        folder: what the paths of the images are relative to, with a slash at its end.

    Raises:
        OvertopError: the rows are not valid.
    """
    image_id = rows["image"].where(rows["image"] != "", None)
    rows = rows.assign(image_id=image_id, image_path=(folder + rows["image"]).where(rows["image"] != "", ""))
    has_caption = rows["caption"] != ""
    if "caption_id" not in rows:
        number = rows.groupby(["image", has_caption]).cumcount().astype(str)
        rows["caption_id"] = rows["image"] + "#" + number
    rows["caption_id"] = rows["caption_id"].where(has_caption, None)
    if "positives" in rows:
        rows["positives"] = _list_positives(path, rows)
    try:
        return split_from_frame(rows)
    except OvertopError as error:
        raise OvertopError(f"{path}: {error}") from error


def _read_pairs(path: Path, columns: Columns) -> pd.DataFrame:
    """All rows of a table of images and captions, with empty texts for what is missing."""
    rows = read_rows(path, "caption", columns, ["caption_id", "positives"])
    is_empty = rows["caption"].str.strip() == ""
    nothing = np.flatnonzero(is_empty & (rows["image"] == ""))
    if nothing.size:
        raise OvertopError(f"{path}: row {nothing[0] + 1} has neither an image nor a caption; remove it")
    has_caption = (~is_empty).groupby([rows["split"], rows["image"]]).transform("any")
    missing = np.flatnonzero(is_empty & has_caption)
    if missing.size:
        raise OvertopError(
            f"{path}: row {missing[0] + 1} has no caption, but its image {rows['image'][missing[0]]!r} has one in "
            "another row; write a caption or remove the row"
        )
    return rows.assign(caption=rows["caption"].where(~is_empty, ""))


def _list_positives(path: Path, rows: pd.DataFrame) -> list[list[str]]:
    """The images that each caption is known to describe, its own included."""
    listed = rows["positives"]
    without_image = np.flatnonzero((rows["image"] == "") & (listed != ""))
    if without_image.size:
        caption = rows["caption"].iloc[without_image[0]]
        raise OvertopError(f"{path}: caption {caption!r} has positives and no image; name one of them as its image")
    own_and_listed = zip(rows["image"], listed, strict=True)
    positives = [sorted({*filter(None, [own, *images.split("|")])}) for own, images in own_and_listed]
    unknown = sorted({image for images in positives for image in images} - set(rows["image"]))
    if unknown:
        raise OvertopError(f"{path}: column positives lists {unknown[0]!r}, not an image of the split")
    return positives


def read_rows(path: Path, role: str, given: Columns = USUAL, optional: Sequence[str] = ()) -> pd.DataFrame:
    """All rows of a table of images as text, with the columns image, `role` and split; missing values are empty.

    Args:
        path: CSV, TSV or parquet.
        role: what it has in addition to images: `caption` or `class`.
        given: names of these columns that replace the usual ones.
        optional: further columns that are read if it has them.

    Raises:
        OvertopError: it is no table, or lacks a column; two names are one image.
    """
    names = column_names(path)
    columns = find_columns(path, names, ["image", role], given)
    rows = read_columns(path, [*columns, *(name for name in ("split", *optional) if name in names)])
    rows = rows.rename(columns=dict(zip(columns, ["image", role], strict=True)))
    files = FileNames(path)
    for image in filter(None, dict.fromkeys(rows["image"])):
        files.add(image)
    return rows if "split" in rows else rows.assign(split=ALL_IMAGES)
