"""Photographs with a handful of captions each: COCO, Flickr30k and Flickr8k in the Karpathy splits.

A split comes from a folder of the user's (`source`) where there is one, else by the first of `routes` that leads to it.
Whatever the way, its raw folder then holds the same: `captions.jsonl` with the records of that split, `images/` with
their images, and from a folder the files of `judgments`.
"""

import logging
import os
from pathlib import Path

import pandas as pd

from overtop.config.datasets import KarpathyDataset, Route
from overtop.datasets.annotations import IMAGES, RECORDS, Record, parse_split, read_records, write_records
from overtop.datasets.known_positives import find_positives
from overtop.datasets.raw import Context, copy_into, keep_only, locate
from overtop.datasets.routes import follow
from overtop.errors import OvertopError
from overtop.storage.split import Split, from_rows

_LOG = logging.getLogger(__name__)


def fetch(name: str, spec: KarpathyDataset, split: str, raw: Path, context: Context) -> None:
    """Bring the records and images of one split.

    Raises:
        OvertopError: no way leads to it; the message says of each why.
    """
    records = _bring(name, spec, split, raw, context)
    write_records(raw, records)
    images = [f"{IMAGES}/{record.filename}" for record in records]
    keep_only(raw, [RECORDS, *images, *spec.judgments.values()])


def _bring(name: str, spec: KarpathyDataset, split: str, raw: Path, context: Context) -> list[Record]:
    """From the folder if there is one: what is wrong with it is then told, not passed over."""
    reasons = []
    if spec.source is not None:
        try:
            place = locate(name, spec.source, context.mirror)
        except OvertopError as error:
            if not spec.routes:
                raise
            reasons.append(f"(0) {error}")
        else:
            return _from_folder(place, spec, split, raw)
    for number, route in enumerate(spec.routes, start=1):
        try:
            records = follow(route, split, raw / IMAGES, context)
        except OvertopError as error:
            reasons.append(f"({number}) {_described(route)}: {error}")
        else:
            _LOG.info("%s, split %s: by %s", name, split, _described(route))
            return records
    raise OvertopError(f"data set {name!r}, split {split!r}: no way leads to it: {'; '.join(reasons)}")


def _described(route: Route) -> str:
    return f"route {route.kind} ({', '.join(route.places())})"


def _from_folder(place: Path, spec: KarpathyDataset, split: str, raw: Path) -> list[Record]:
    annotations = place / spec.annotations
    if not annotations.is_file():
        raise OvertopError(f"{annotations} is missing; complete the source or correct `annotations`")
    records = parse_split(str(annotations), annotations.read_bytes(), split)
    if spec.on_error == "skip":
        records = [record for record in records if _is_there(place, record, spec)]
    files = {f"{IMAGES}/{record.filename}": _place_of(record, spec) for record in records}
    copy_into(raw, place, {path: path for path in spec.judgments.values()} | files)
    return records


def _is_there(place: Path, record: Record, spec: KarpathyDataset) -> bool:
    image = place / _place_of(record, spec)
    if not image.is_file():
        _LOG.warning("skipped: %s is missing", image)
    return image.is_file()


def _place_of(record: Record, spec: KarpathyDataset) -> str:
    """Where an image lies in the folder of a data set."""
    if record.path:
        return os.path.normpath(Path(spec.annotations).parent / record.path)
    return str(Path(spec.images) / record.folder / record.filename)


def read(name: str, spec: KarpathyDataset, raw: Path, split: str) -> Split:
    """The images of `split` with their first `captions_per_image` captions.

    Captions are named after their image and their place in the annotations, from 0: `NAME.jpg#2`. Extended positives
    are known of the test split alone.

    Raises:
        OvertopError: an image has fewer captions than that, or lacks the ids that `extended` needs.
    """
    wanted = None if spec.captions_per_image == "all" else spec.captions_per_image
    records = read_records(raw)
    for record in records:
        if wanted is not None and len(record.captions) < wanted:
            raise OvertopError(
                f"image {record.filename!r} has {len(record.captions)} captions, and captions_per_image is {wanted}; "
                "give it the others, or lower that number (`all` takes as many as each image has)"
            )
    rows = [
        (record.filename, f"{IMAGES}/{record.filename}", f"{record.filename}#{k}", caption)
        for record in records
        for k, caption in enumerate(record.captions[:wanted])
    ]
    frame = pd.DataFrame(rows, columns=["image_id", "image_path", "caption_id", "caption"])
    if spec.extended and split == "test":
        ids = [(image, caption) for record in records for image, caption in _coco_ids(record)[:wanted]]
        known = find_positives({caption: image for image, caption in ids}, spec.extended)
        name_of = {image: name for (image, _), name in zip(ids, frame["image_id"], strict=True)}
        frame["positives"] = [[name_of[image] for image in sorted(known[caption])] for _, caption in ids]
    return from_rows(frame)


def _coco_ids(record: Record) -> list[tuple[int, int]]:
    """For each caption COCO's id of its image and of itself."""
    image, captions = record.image_id, record.caption_ids
    if image is None or captions is None or len(captions) != len(record.captions):
        raise OvertopError(
            f"image {record.filename!r} lacks COCO's ids: cocoid and each sentence's sentid, or image_id and as "
            "many caption_ids as captions; add them, or remove `extended`, which needs them"
        )
    return [(image, caption) for caption in captions]
