"""A folder of images and one table (CSV or parquet) with one row per caption.

Columns: `image` (path relative to the folder) and `caption`; optional `split` (by default all rows are `test`),
`caption_id`, and `positives` (paths of the images that the caption is known to describe, separated by `|`).

An image with an empty caption is a gallery item that no caption is known to describe; a caption with an empty image is
a query whose image is unknown.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.config.datasets import TableDataset
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_source, unknown_split_error
from overtop.errors import OvertopError
from overtop.storage.foreign_tables import column_names, read_columns
from overtop.storage.names import FileNames
from overtop.storage.split import Split, split_from_frame


def fetch(name: str, spec: TableDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Copy the table, and the images of all its rows of `split`, into `raw`.

    Raises:
        OvertopError: the source or a file is missing, or the table has no such split.
    """
    folder = resolve_source(f"datasets.{name}.source", spec.source, context.mirror)
    copy_into(raw, folder, {spec.table: spec.table})
    rows = _read_pairs(folder / spec.table)
    splits = set(rows["split"]) - {""}
    rows = rows[rows["split"] == split]
    if rows.empty:
        raise unknown_split_error(split, str(folder / spec.table), splits)
    images = sorted(set(rows["image"]) - {""})
    copy_into(raw, folder, {image: image for image in images})
    remove_other_files(raw, [spec.table, *images])


def read(name: str, spec: TableDataset, raw: Path, split: str) -> Split:
    """The rows of `split`.

    Raises:
        OvertopError: the table or its rows are not valid.
    """
    path = raw / spec.table
    rows = _read_pairs(path)
    rows = rows[rows["split"] == split]
    rows = rows.assign(image_id=rows["image"].where(rows["image"] != "", None), image_path=rows["image"])
    has_caption = rows["caption"] != ""
    if "caption_id" not in rows:
        number = rows.groupby(["image", has_caption]).cumcount().astype(str)
        rows["caption_id"] = rows["image"] + "#" + number
    rows["caption_id"] = rows["caption_id"].where(has_caption, None)
    if "positives" in rows:
        rows["positives"] = _list_positives(path, rows)
    return split_from_frame(rows)


def _read_pairs(path: Path) -> pd.DataFrame:
    """All rows of a table of images and captions, with empty texts for what is missing."""
    rows = read_rows(path, "caption", ["caption_id", "positives"])
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


def read_rows(path: Path, text: str, optional: Sequence[str] = ()) -> pd.DataFrame:
    """All rows of a table of images as text, with a `split` column; missing values are empty.

    Args:
        path: CSV or parquet.
        text: the column that it needs in addition to `image`, `caption` or `class`.
        optional: further columns that are read if it has them.

    Raises:
        OvertopError: it is no table, or lacks a column; two names are one image.
    """
    names = column_names(path)
    missing = sorted({"image", text} - set(names))
    if missing:
        raise OvertopError(f"{path}: column {missing[0]!r} is missing; it needs `image` and `{text}`")
    rows = read_columns(path, ["image", text, *(name for name in ("split", *optional) if name in names)])
    files = FileNames(path)
    for image in filter(None, dict.fromkeys(rows["image"])):
        files.add(image)
    return rows if "split" in rows else rows.assign(split="test")
