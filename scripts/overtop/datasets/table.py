"""Bring your own: a folder of images and one table (CSV or parquet) with a row per caption.

Columns: `image` (path relative to the folder) and `caption`; optional `split` (default: all rows are `test`),
`caption_id`, and `positives` (the image paths a caption is known to describe, separated by `|`).
"""

from pathlib import Path

import pandas as pd

from overtop.config.datasets import TableDataset
from overtop.datasets.raw import Context, copy_into, keep_only, locate, no_split
from overtop.errors import OvertopError
from overtop.storage.split import Split, from_rows


def fetch(name: str, spec: TableDataset, split: str, raw: Path, context: Context) -> None:
    """Copy the table and every image that its rows of `split` name."""
    place = locate(name, spec.source, context.mirror)
    copy_into(raw, place, {spec.table: spec.table})
    rows = _rows(raw / spec.table)
    images = sorted(set(rows["image"][rows["split"] == split]))
    if not images:
        raise no_split(split, str(place / spec.table), set(rows["split"].dropna()))
    copy_into(raw, place, {image: image for image in images})
    keep_only(raw, [spec.table, *images])


def read(name: str, spec: TableDataset, raw: Path, split: str) -> Split:
    """The rows of `split`."""
    rows = _rows(raw / spec.table)
    rows = rows[rows["split"] == split]
    rows = rows.assign(image_id=rows["image"], image_path=rows["image"])
    if "caption_id" not in rows:
        number = rows.groupby("image_id").cumcount().astype(str)
        rows["caption_id"] = rows["image_id"] + "#" + number
    if "positives" in rows:
        own_and_known = zip(rows["image"], rows["positives"].fillna(""), strict=True)
        rows["positives"] = [sorted({own, *filter(None, known.split("|"))}) for own, known in own_and_known]
        strangers = sorted({image for known in rows["positives"] for image in known} - set(rows["image"]))
        if strangers:
            raise OvertopError(
                f"{raw / spec.table}: column positives names {strangers[0]!r}, not an image of the split"
            )
    return from_rows(rows)


def _rows(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    except (ValueError, OSError) as error:
        raise OvertopError(f"{path}: cannot be read as a table ({error}); give CSV or parquet") from error
    missing = {"image", "caption"} - set(rows.columns)
    if missing:
        raise OvertopError(f"{path}: column {sorted(missing)[0]!r} is missing; it needs `image` and `caption`")
    rows["caption"] = rows["caption"].fillna("")
    return rows if "split" in rows else rows.assign(split="test")
