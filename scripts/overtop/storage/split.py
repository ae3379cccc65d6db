"""What a split holds: images, their captions, and which of them belong together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from overtop.errors import OvertopError
from overtop.storage.files import atomic_path

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


@dataclass(frozen=True)
class Split:
    """One split of a data set. Captions of one image stand together, in the order of the images.

    Attributes:
        image_ids: N unique names.
        image_paths: N paths relative to the data folder; empty strings where the data set has no image files.
        caption_ids: M unique names.
        captions: M texts.
        image_of_caption: (M,) int64, the image each caption was written for (the labelled pair).
        extended: for each caption the indices of every image it is known to describe, its own included; None
            where nobody knows more than the labelled pairs.
        levels: for each caption how precise it is, where the data set knows; else None.
    """

    image_ids: list[str]
    image_paths: list[str]
    caption_ids: list[str]
    captions: list[str]
    image_of_caption: np.ndarray
    extended: list[np.ndarray] | None = None
    levels: list[str] | None = None

    def __post_init__(self) -> None:
        _refuse_duplicates("image", self.image_ids)
        _refuse_duplicates("caption", self.caption_ids)
        for caption_id, caption in zip(self.caption_ids, self.captions, strict=True):
            if not caption.strip():
                raise OvertopError(f"caption {caption_id!r} is empty; write a caption or remove its row")
        if any(later < earlier for earlier, later in pairwise(self.image_of_caption.tolist())):
            raise OvertopError("captions must be ordered by image; sort them")
        alone = np.setdiff1d(np.arange(len(self.image_ids)), self.image_of_caption)
        if alone.size:
            raise OvertopError(f"image {self.image_ids[alone[0]]!r} has no caption; give it one or remove it")


def _refuse_duplicates(what: str, ids: Sequence[str]) -> None:
    repeated = [item for item, count in Counter(ids).items() if count > 1]
    if repeated:
        raise OvertopError(f"{what} id {repeated[0]!r} occurs more than once; ids must be unique within a split")


def write_split(path: str | Path, split: Split) -> None:
    """Write a split as parquet, one row per caption (columns: `SCHEMA`), atomically."""
    images = split.image_of_caption
    columns = {
        "image_id": [split.image_ids[i] for i in images],
        "image_path": [split.image_paths[i] for i in images],
        "caption_id": split.caption_ids,
        "caption": split.captions,
        "positives": [None] * len(images)
        if split.extended is None
        else [[split.image_ids[i] for i in positives] for positives in split.extended],
        "level": split.levels if split.levels is not None else pa.nulls(len(images)),
    }
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=SCHEMA), temporary)


def read_split(path: str | Path) -> Split:
    """Read what `write_split` wrote.

    Raises:
        OvertopError: the file breaks a rule of a split; the message names it.
    """
    frame = pq.read_table(path, schema=SCHEMA).to_pandas()
    try:
        return from_rows(frame)
    except OvertopError as error:
        raise OvertopError(f"{path}: {error}") from error


def from_rows(frame: pd.DataFrame) -> Split:
    """A split from one row per caption, with the columns of `SCHEMA` (`positives` and `level` may be missing)."""
    frame = frame.reset_index(drop=True)
    image_of_caption, image_ids = pd.factorize(frame["image_id"])
    order = np.argsort(image_of_caption, kind="stable")
    frame, image_of_caption = frame.iloc[order].reset_index(drop=True), image_of_caption[order]
    paths = frame.drop_duplicates("image_id")["image_path"]
    extended = levels = None
    if "positives" in frame and frame["positives"].notna().all():
        index = {image_id: i for i, image_id in enumerate(image_ids)}
        extended = [np.array(sorted(index[i] for i in positives), dtype=np.int64) for positives in frame["positives"]]
    if "level" in frame and frame["level"].notna().all():
        levels = frame["level"].tolist()
    return Split(
        image_ids=list(image_ids),
        image_paths=paths.tolist(),
        caption_ids=frame["caption_id"].tolist(),
        captions=frame["caption"].tolist(),
        image_of_caption=image_of_caption.astype(np.int64),
        extended=extended,
        levels=levels,
    )
