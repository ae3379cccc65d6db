"""A folder of images and one table (CSV or parquet) with one row per caption.

Columns: `image` (path relative to the folder) and `caption`; optional `split` (by default all rows are `test`),
`caption_id`, and `positives` (paths of the images that the caption is known to describe, separated by `|`).
"""

from pathlib import Path

import pandas as pd

from overtop.config.datasets import TableDataset
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_source, unknown_split_error
from overtop.errors import OvertopError
from overtop.storage.split import Split, split_from_frame


def fetch(name: str, spec: TableDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Copy the table, and the images of all its rows of `split`, into `raw`.

    Raises:
        OvertopError: the source or a file is missing, or the table has no such split.
    """
    folder = resolve_source(f"datasets.{name}.source", spec.source, context.mirror)
    copy_into(raw, folder, {spec.table: spec.table})
    rows = read_rows(raw / spec.table, "caption")
    images = sorted(set(rows["image"][rows["split"] == split]))
    if not images:
        raise unknown_split_error(split, str(folder / spec.table), set(rows["split"].dropna()))
    copy_into(raw, folder, {image: image for image in images})
    remove_other_files(raw, [spec.table, *images])


def read(name: str, spec: TableDataset, raw: Path, split: str) -> Split:
    """The rows of `split`.

    Raises:
        OvertopError: the table or its rows are not valid.
    """
    rows = read_rows(raw / spec.table, "caption")
    rows = rows[rows["split"] == split]
    rows = rows.assign(image_id=rows["image"], image_path=rows["image"])
    if "caption_id" not in rows:
        number = rows.groupby("image_id").cumcount().astype(str)
        rows["caption_id"] = rows["image_id"] + "#" + number
    if "positives" in rows:
        own_and_listed = zip(rows["image"], rows["positives"].fillna(""), strict=True)
        rows["positives"] = [sorted({own, *filter(None, listed.split("|"))}) for own, listed in own_and_listed]
        unknown = sorted({image for positives in rows["positives"] for image in positives} - set(rows["image"]))
        if unknown:
            raise OvertopError(f"{raw / spec.table}: column positives lists {unknown[0]!r}, not an image of the split")
    return split_from_frame(rows)


def read_rows(path: Path, text: str) -> pd.DataFrame:
    """All rows of a table of images, with a `split` column.

    Args:
        path: CSV or parquet.
        text: the column that it needs in addition to `image`, `caption` or `class`; empty where it has no value.

    Raises:
        OvertopError: it is no table, or lacks a column.
    """
    try:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    except (ValueError, OSError) as error:
        raise OvertopError(f"{path}: cannot be read as a table ({error}); give CSV or parquet") from error
    missing = {"image", text} - set(rows.columns)
    if missing:
        raise OvertopError(f"{path}: column {sorted(missing)[0]!r} is missing; it needs `image` and `{text}`")
    rows[text] = rows[text].fillna("")
    return rows if "split" in rows else rows.assign(split="test")
