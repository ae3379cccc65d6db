"""Photographs with a handful of captions each: COCO, Flickr30k and Flickr8k in the Karpathy splits.

Annotations are either Karpathy's own JSON (`{"images": [{"filename", "split", "sentences": [{"raw"}]}]}`) or JSON
lines with `filename`, `captions` and optionally `split` (default: all records are `test`); both may be gzipped. With
`filepath`, as COCO has it, an image lies in that folder among the images.

For extended positives a record needs COCO's ids too: `cocoid` and the sentences' `sentid` in Karpathy's own JSON, in
JSON lines `image_id` and `caption_ids`.
"""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from overtop.config import KarpathySpec
from overtop.datasets.known_positives import find_positives
from overtop.datasets.manifest import Split, from_rows
from overtop.datasets.sources import copy_into, locate
from overtop.errors import OvertopError
from overtop.files import inside


def fetch(name: str, spec: KarpathySpec, raw: Path, mirror: str | None, seed: int) -> None:
    """Copy the annotations, the judgments and every annotated image."""
    place = locate(name, spec.source, mirror)
    copy_into(raw, place, [spec.annotations, *spec.judgments.values()])
    images = [_image_path(spec, record) for record in _records(raw / spec.annotations)]
    for image in images:
        inside(raw, image)
    copy_into(raw, place, images)


def read(name: str, spec: KarpathySpec, raw: Path, split: str) -> Split:
    """The images of `split` with their first `captions_per_image` captions.

    Captions are named after their image and their place in the annotations, from 0: `NAME.jpg#2`. Extended positives
    are known of the test split alone.
    """
    wanted = None if spec.captions_per_image == "all" else spec.captions_per_image
    records = [record for record in _records(raw / spec.annotations) if record["split"] == split]
    rows = [
        (record["filename"], _image_path(spec, record), f"{record['filename']}#{k}", caption)
        for record in records
        for k, caption in enumerate(_captions(record)[:wanted])
    ]
    frame = pd.DataFrame(rows, columns=["image_id", "image_path", "caption_id", "caption"])
    if spec.extended and split == "test":
        ids = [(image, caption) for record in records for image, caption in _coco_ids(record)[:wanted]]
        known = find_positives({caption: image for image, caption in ids}, spec.extended)
        name_of = {image: name for (image, _), name in zip(ids, frame["image_id"], strict=True)}
        frame["positives"] = [[name_of[image] for image in sorted(known[caption])] for _, caption in ids]
    return from_rows(frame)


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = content.decode("utf-8")
        if path.name.removesuffix(".gz").endswith(".json"):
            records = json.loads(text)["images"]
        else:
            records = [json.loads(line) for line in text.splitlines() if line.strip()]
        records = [{"split": "test", **record} for record in records]
        for number, record in enumerate(records):
            if not _captions(record):
                raise OvertopError(
                    f"{path}: image {record['filename']!r} has no caption; give it one or remove its record"
                )
            if not isinstance(record["split"], str):
                raise OvertopError(f"{path}: record {number} has no split name")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise OvertopError(f"{path}: cannot be unpacked ({error}); the file is damaged, get it again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise OvertopError(
            f"{path}: not Karpathy annotations ({type(error).__name__}: {error}); "
            "each image needs filename and captions (or sentences with raw)"
        ) from error
    return records


def _image_path(spec: KarpathySpec, record: dict[str, Any]) -> str:
    return str(Path(spec.images) / record.get("filepath", "") / record["filename"])


def _captions(record: dict[str, Any]) -> list[str]:
    if "sentences" in record:
        return [sentence["raw"] for sentence in record["sentences"]]
    return record["captions"]


def _coco_ids(record: dict[str, Any]) -> list[tuple[int, int]]:
    """For each caption COCO's id of its image and of itself."""
    if "sentences" in record:
        image, captions = record.get("cocoid"), [sentence.get("sentid") for sentence in record["sentences"]]
    else:
        image, captions = record.get("image_id"), record.get("caption_ids") or []
    if image is None or None in captions or len(captions) != len(_captions(record)):
        raise OvertopError(
            f"image {record['filename']!r} lacks COCO's ids: cocoid and each sentence's sentid, or image_id and as "
            "many caption_ids as captions; add them, or remove `extended`, which needs them"
        )
    return [(image, caption) for caption in captions]
