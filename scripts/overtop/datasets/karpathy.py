"""Photographs with a handful of captions each: COCO, Flickr30k and Flickr8k in the Karpathy splits.

Annotations are either Karpathy's own JSON (`{"images": [{"filename", "split", "sentences": [{"raw"}]}]}`) or JSON
lines with `filename`, `split` and `captions`.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from overtop.config import KarpathySpec
from overtop.datasets.manifest import Split, from_rows
from overtop.datasets.sources import copy_into, locate
from overtop.errors import OvertopError
from overtop.files import inside


def fetch(name: str, spec: KarpathySpec, raw: Path, mirror: str | None, seed: int) -> None:
    """Copy the annotations and every annotated image."""
    place = locate(name, spec.source, mirror)
    copy_into(raw, place, [spec.annotations])
    images = [str(Path(spec.images) / record["filename"]) for record in _records(raw / spec.annotations)]
    for image in images:
        inside(raw, image)
    copy_into(raw, place, images)


def read(name: str, spec: KarpathySpec, raw: Path, split: str) -> Split:
    """The images of `split` with their first `captions_per_image` captions."""
    wanted = None if spec.captions_per_image == "all" else spec.captions_per_image
    rows = [
        (record["filename"], str(Path(spec.images) / record["filename"]), f"{record['filename']}#{k}", caption)
        for record in _records(raw / spec.annotations)
        if record["split"] == split
        for k, caption in enumerate(_captions(record)[:wanted])
    ]
    return from_rows(pd.DataFrame(rows, columns=["image_id", "image_path", "caption_id", "caption"]))


def _records(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".json":
            records = json.loads(text)["images"]
        else:
            records = [json.loads(line) for line in text.splitlines() if line.strip()]
        for number, record in enumerate(records):
            if not _captions(record):
                raise OvertopError(
                    f"{path}: image {record['filename']!r} has no caption; give it one or remove its record"
                )
            if not isinstance(record["split"], str):
                raise OvertopError(f"{path}: record {number} has no split name")
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise OvertopError(
            f"{path}: not Karpathy annotations ({type(error).__name__}: {error}); "
            "each image needs filename, split and captions (or sentences with raw)"
        ) from error
    return records


def _captions(record: dict[str, Any]) -> list[str]:
    if "sentences" in record:
        return [sentence["raw"] for sentence in record["sentences"]]
    return record["captions"]
