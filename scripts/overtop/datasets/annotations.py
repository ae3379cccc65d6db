"""Which captions an image has, in which split: Karpathy's JSON, and the lines of our own that every way ends in.

Annotations are either Karpathy's own JSON (`{"images": [{"filename", "split", "sentences": [{"raw"}]}]}`) or JSON
lines with `filename`, `captions` and optionally `split` (or `karpathy_split`; default: all records are `test`); both
may be gzipped. With `filepath`, as COCO has it, an image lies in that folder of its source; with `image`, at that path
beside the annotations. COCO's ids are `cocoid` and the sentences' `sentid` in Karpathy's own JSON, in JSON lines
`image_id` and `caption_ids`.

Karpathy's JSON of COCO has a fourth split, `restval`: images of COCO's validation set that his own left over. Everyone
trains on them, and so do we: they are of the split `train`.
"""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overtop.datasets.raw import no_split
from overtop.errors import OvertopError
from overtop.storage.files import write_text

RECORDS = "captions.jsonl"
IMAGES = "images"

_TRAINED_ON = {"restval": "train"}


@dataclass(frozen=True)
class Record:
    """One image with all its captions.

    Attributes:
        filename: name of the image, unique within its split.
        captions: all that were written for it.
        folder: where the image lies in its source; empty where that is not told.
        image_id: COCO's id of the image, None where unknown.
        caption_ids: COCO's ids of the captions, None where one is unknown.
        path: of the image from the folder of its annotations; empty where it lies as `filename` among the images.
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
        name: the file's name, for its form and for errors.
        content: what the file holds.
        split: `train` has `restval`, too.

    Raises:
        OvertopError: not annotations, or without that split; an image has no caption or comes twice.
    """
    entries = _entries(name, content)
    names = [entry.get("split", entry.get("karpathy_split", "test")) for entry in entries]
    for number, found in enumerate(names):
        if not isinstance(found, str):
            raise OvertopError(f"{name}: record {number} has no split name; give it one")
    names = [_TRAINED_ON.get(found, found) for found in names]
    if split not in names:
        raise no_split(split, name, set(names))
    records = [_record(name, entry) for entry, found in zip(entries, names, strict=True) if found == split]
    repeated = [file for file, count in Counter(record.filename for record in records).items() if count > 1]
    if repeated:
        raise OvertopError(f"{name}: image {repeated[0]!r} occurs more than once in split {split!r}; keep one record")
    return records


def write_records(raw: Path, records: Sequence[Record]) -> None:
    """Write the records of a split as `RECORDS`, one JSON object a line. Its images lie in `IMAGES`."""
    lines = []
    for record in records:
        entry: dict[str, Any] = {"filename": record.filename, "captions": record.captions}
        if record.image_id is not None:
            entry["image_id"] = record.image_id
        if record.caption_ids is not None:
            entry["caption_ids"] = record.caption_ids
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    write_text(raw / RECORDS, "".join(lines))


def read_records(raw: Path) -> list[Record]:
    """Read what `write_records` wrote."""
    path = raw / RECORDS
    return [_record(str(path), entry) for entry in _entries(str(path), path.read_bytes())]


def _entries(name: str, content: bytes) -> list[dict[str, Any]]:
    try:
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode("utf-8")
        if name.removesuffix(".gz").endswith(".json"):
            entries = json.loads(text)["images"]
        else:
            entries = [json.loads(line) for line in text.split("\n") if line.strip()]
        if not all(isinstance(entry, dict) for entry in entries):
            raise TypeError("a record is not an object")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise OvertopError(f"{name}: cannot be unpacked ({error}); the file is damaged, get it again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _not_annotations(name, error) from error
    return entries


def _record(name: str, entry: dict[str, Any]) -> Record:
    try:
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
        if not all(isinstance(text, str) for text in (record.filename, record.folder, record.path, *captions)):
            raise TypeError("a name or a caption is not a text")
    except (AttributeError, KeyError, TypeError) as error:
        raise _not_annotations(name, error) from error
    if not record.captions:
        raise OvertopError(f"{name}: image {record.filename!r} has no caption; give it one or remove its record")
    return record


def _not_annotations(name: str, error: Exception) -> OvertopError:
    return OvertopError(
        f"{name}: not Karpathy annotations ({type(error).__name__}: {error}); "
        "each image needs filename and captions (or sentences with raw)"
    )
