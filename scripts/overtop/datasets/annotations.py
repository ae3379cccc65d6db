"""Annotations: the captions of each image and its split, in Karpathy's JSON and in JSON lines.

Accepted formats are Karpathy's own JSON (`{"images": [{"filename", "split", "sentences": [{"raw"}]}]}`) and JSON lines
with `filename`, `captions` and optionally `split` (or `karpathy_split`; by default all records are `test`); both may be
gzipped. Optional keys give the place of an image: `filepath` (as in COCO) is its folder within the source, `image` its
path relative to the annotations. COCO's ids are `cocoid` and the sentences' `sentid` in Karpathy's JSON, and `image_id`
and `caption_ids` in JSON lines.

Karpathy's JSON of COCO has a fourth split, `restval`: the images of COCO's validation set that are not in Karpathy's
`val` or `test`. As is common practice, they are part of the split `train`.

Whatever the source, the raw folder of a split contains `RECORDS_FILE` in our JSON lines format.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overtop.datasets.raw import unknown_split_error
from overtop.errors import OvertopError
from overtop.storage.files import write_text
from overtop.storage.foreign import decompress, read_bytes, report_damage
from overtop.storage.names import FileNames, problem_of

RECORDS_FILE = "captions.jsonl"
IMAGES_FOLDER = "images"

_WHAT = "not Karpathy annotations"
_FIX = "each image needs filename and captions (or sentences with raw)"

_SPLIT_ALIASES = {"restval": "train"}


@dataclass(frozen=True)
class Record:
    """One image with all its captions.

    Attributes:
        filename: name of the image, unique within its split.
        captions: all captions of the image.
        folder: folder of the image within its source; empty if unknown.
        image_id: COCO's id of the image; None if unknown.
        caption_ids: COCO's ids of the captions; None if any is unknown.
        path: path of the image relative to the annotations; empty if it is found by `folder` and `filename`.
    """

    filename: str
    captions: tuple[str, ...]
    folder: str = ""
    image_id: int | None = None
    caption_ids: tuple[int, ...] | None = None
    path: str = ""


def parse_split(name: str, content: bytes, split: str) -> list[Record]:
    """The records of one split, in the order of the annotations.

    Args:
        name: name of the file; its suffixes determine the format, and messages start with it.
        content: content of the file.
        split: name of the split; `train` includes `restval`.

    Raises:
        OvertopError: the content is not annotations or has no such split; an image has no caption or occurs twice.
    """
    entries = _parse_entries(name, content)
    split_names = [_split_name(name, number, entry) for number, entry in enumerate(entries)]
    if split not in split_names:
        raise unknown_split_error(split, name, set(split_names))
    records = [
        _parse_record(name, entry)
        for entry, split_name in zip(entries, split_names, strict=True)
        if split_name == split
    ]
    names = FileNames(name)
    for record in records:
        names.add(record.filename)
    return records


def write_records(raw: Path, records: Sequence[Record]) -> None:
    """Write the records of a split to `RECORDS_FILE` in `raw`, one JSON object per line.

    The images are expected in `IMAGES_FOLDER` under their file names, so `folder` and `path` are not written.
    """
    lines = []
    for record in records:
        entry: dict[str, Any] = {"filename": record.filename, "captions": record.captions}
        if record.image_id is not None:
            entry["image_id"] = record.image_id
        if record.caption_ids is not None:
            entry["caption_ids"] = record.caption_ids
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    write_text(raw / RECORDS_FILE, "".join(lines))


def read_records(raw: Path) -> list[Record]:
    """Read the records that `write_records` wrote into `raw`."""
    path = raw / RECORDS_FILE
    return [_parse_record(str(path), entry) for entry in _parse_entries(str(path), read_bytes(path))]


def _parse_entries(name: str, content: bytes) -> list[dict[str, Any]]:
    """The JSON objects of all images."""
    content = decompress(name, content)
    with report_damage(name, _FIX, _WHAT):
        text = content.decode("utf-8")
        if name.removesuffix(".gz").endswith(".json"):
            entries = json.loads(text)["images"]
        else:
            entries = [json.loads(line) for line in text.split("\n") if line.strip()]
        if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
            raise TypeError("a record is not an object")
    return entries


def _split_name(name: str, number: int, entry: dict[str, Any]) -> str:
    """The split of a record, with `restval` as `train`."""
    split = entry.get("split", entry.get("karpathy_split", "test"))
    if not isinstance(split, str):
        raise OvertopError(f"{name}: record {number} has no split name; give it one")
    return _SPLIT_ALIASES.get(split, split)


def _parse_record(name: str, entry: dict[str, Any]) -> Record:
    """The record of one JSON object, in either format."""
    with report_damage(name, _FIX, _WHAT):
        if "sentences" in entry:
            captions = [sentence["raw"] for sentence in entry["sentences"]]
            image_id, caption_ids = entry.get("cocoid"), [sentence.get("sentid") for sentence in entry["sentences"]]
        else:
            captions = entry["captions"]
            image_id, caption_ids = entry.get("image_id"), entry.get("caption_ids") or [None]
        record = Record(
            filename=entry["filename"],
            captions=tuple(captions),
            folder=entry.get("filepath", ""),
            path=entry.get("image", ""),
            image_id=image_id,
            caption_ids=None if None in caption_ids else tuple(caption_ids),
        )
        _check_types(record, captions)
    if not record.captions:
        raise OvertopError(f"{name}: image {record.filename!r} has no caption; give it one or remove its record")
    for path in filter(None, (record.filename, record.folder, record.path)):
        if problem := problem_of(path):
            raise OvertopError(f"{name}: the name {path[:80]!a} {problem}; rename the file")
    return record


def _check_types(record: Record, captions: Any) -> None:
    """Raise an error unless names and captions are texts, and ids numbers."""
    if not isinstance(captions, list):  # of a text each letter would be a caption
        raise TypeError(f"the captions of {record.filename!r} are no list")
    if not all(isinstance(text, str) for text in (record.filename, record.folder, record.path, *captions)):
        raise TypeError("a name or a caption is not a string")
    if not all(type(number) is int for number in (record.image_id or 0, *(record.caption_ids or ()))):
        raise TypeError(f"an id of {record.filename!r} is not a whole number")
    "".join(captions).encode()  # halves of characters cannot be written
