"""Photographs with several captions each: COCO, Flickr30k and Flickr8k in the Karpathy splits.

A split is read from a local folder (`source`) if it exists, otherwise from the first of `routes` that succeeds. In any
case its raw folder then contains `captions.jsonl` with the records of the split, `images/` with their images, and, from
a local folder, the files of `judgments`.
"""

import logging
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from overtop.config.datasets import KarpathyDataset, Route
from overtop.datasets.annotations import IMAGES_FOLDER, RECORDS_FILE, Record, parse_split, read_records, write_records
from overtop.datasets.known_positives import find_eccv_judgments, find_extended_positives
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_source, unknown_split_error
from overtop.datasets.routes import fetch_by_route
from overtop.errors import OvertopError
from overtop.storage.foreign import read_bytes
from overtop.storage.split import Split, split_from_frame

_SPLITS = re.compile(rb'"split"\s*:\s*"([^"]+)"')
"""Names of splits in annotations."""

logger = logging.getLogger(__name__)


def fetch(name: str, spec: KarpathyDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Write the records and images of one split into `raw`.

    Raises:
        OvertopError: neither the folder nor any route has the split; the message lists the reason of each.
    """
    records = _fetch_records(name, spec, split, raw, context)
    write_records(raw, records)
    images = [f"{IMAGES_FOLDER}/{record.filename}" for record in records]
    remove_other_files(raw, [RECORDS_FILE, *images, *spec.judgments.values()])


def check(name: str, spec: KarpathyDataset, split: str, context: FetchContext) -> None:
    """Check the source as far as possible without parsing the annotations; routes are tried only when it is fetched.

    Raises:
        OvertopError: the folder or its annotations do not exist, or these have no such split.
    """
    if spec.source is None or spec.routes:
        return
    path = _find_annotations(resolve_source(f"datasets.{name}.source", spec.source, context.mirror), spec)
    if path.suffix == ".gz":
        return
    splits = {match.decode(errors="replace") for match in _SPLITS.findall(read_bytes(path))}
    if splits and split not in splits and not (split == "train" and "restval" in splits):
        raise unknown_split_error(split, str(path), splits)


def _fetch_records(name: str, spec: KarpathyDataset, split: str, raw: Path, context: FetchContext) -> list[Record]:
    """Fetch the images and return the records; an error within an existing folder is reported, not skipped."""
    reasons = []
    if spec.source is not None:
        try:
            folder = resolve_source(f"datasets.{name}.source", spec.source, context.mirror)
        except OvertopError as error:
            if not spec.routes:
                raise
            reasons.append(f"(0) {error}")
        else:
            return _fetch_from_folder(folder, spec, split, raw)
    for number, route in enumerate(spec.routes, start=1):
        try:
            records = fetch_by_route(route, split, raw / IMAGES_FOLDER, context)
        except OvertopError as error:
            reasons.append(f"({number}) {_describe_route(route)}: {error}")
        else:
            logger.info("%s, split %s: fetched by %s", name, split, _describe_route(route))
            return records
    raise OvertopError(f"data set {name!r}, split {split!r}: could not be fetched: {'; '.join(reasons)}")


def _describe_route(route: Route) -> str:
    return f"route {route.kind} ({', '.join(route.image_sources())})"


def _fetch_from_folder(folder: Path, spec: KarpathyDataset, split: str, raw: Path) -> list[Record]:
    annotations = _find_annotations(folder, spec)
    records = parse_split(str(annotations), read_bytes(annotations), split)
    if spec.on_error == "skip":
        records = [record for record in records if _image_exists(folder, record, spec)]
    images = {f"{IMAGES_FOLDER}/{record.filename}": _image_path(record, spec) for record in records}
    copy_into(raw, folder, {path: path for path in spec.judgments.values()} | images)
    return records


def _find_annotations(folder: Path, spec: KarpathyDataset) -> Path:
    path = folder / spec.annotations
    if not path.is_file():
        raise OvertopError(f"{path} is missing; complete the source or correct `annotations`")
    return path


def _image_exists(folder: Path, record: Record, spec: KarpathyDataset) -> bool:
    """Whether the image of a record exists; a missing one is logged as skipped."""
    image = folder / _image_path(record, spec)
    exists = image.is_file()
    if not exists:
        logger.warning("skipped: %s is missing", image)
    return exists


def _image_path(record: Record, spec: KarpathyDataset) -> str:
    """Path of an image relative to the folder of the data set."""
    if record.path:
        return os.path.normpath(Path(spec.annotations).parent / record.path)
    return str(Path(spec.images) / record.folder / record.filename)


def read(name: str, spec: KarpathyDataset, raw: Path, split: str) -> Split:
    """The images of `split` with their first `captions_per_image` captions.

    The id of a caption is the file name of its image and its position in the annotations, from 0: `NAME.jpg#2`. Only
    the test split has extended positives.

    Raises:
        OvertopError: an image has too few captions, or lacks the ids that `extended` needs.
    """
    limit = None if spec.captions_per_image == "all" else spec.captions_per_image
    records = read_records(raw)
    for record in records:
        if limit is not None and len(record.captions) < limit:
            raise OvertopError(
                f"image {record.filename!r} has {len(record.captions)} captions, and captions_per_image is {limit}; "
                "add captions, or lower that number (`all` uses all captions of each image)"
            )
    rows = [
        (record.filename, f"{IMAGES_FOLDER}/{record.filename}", f"{record.filename}#{k}", caption)
        for record in records
        for k, caption in enumerate(record.captions[:limit])
    ]
    frame = pd.DataFrame(rows, columns=["image_id", "image_path", "caption_id", "caption"])
    if spec.extended and split == "test":
        frame["positives"] = _extended_positives(records, limit, spec.extended)
        if "eccv" in spec.extended:
            frame = frame.assign(**_eccv_columns(records, limit))
    return split_from_frame(frame)


def _extended_positives(records: list[Record], limit: int | None, sources: Sequence[str]) -> list[list[str]]:
    """For each of the first `limit` captions of each record, the file names of its positives, by COCO id."""
    pairs = [pair for record in records for pair in _coco_ids(record)[:limit]]
    positives = find_extended_positives({caption: image for image, caption in pairs}, sources)
    return _filenames(records, [positives[caption] for _, caption in pairs])


def _eccv_columns(records: list[Record], limit: int | None) -> dict[str, list[object]]:
    """The columns `storage.split.ECCV_FIELDS` of the first `limit` captions of each record."""
    pairs = [pair for record in records for pair in _coco_ids(record)[:limit]]
    positives, judged_captions, judged_images = find_eccv_judgments({caption: image for image, caption in pairs})
    return {
        "eccv_positives": [*_filenames(records, [positives[caption] for _, caption in pairs])],
        "eccv_caption_judged": [caption in judged_captions for _, caption in pairs],
        "eccv_image_judged": [image in judged_images for image, _ in pairs],
    }


def _filenames(records: list[Record], images: Iterable[Iterable[int]]) -> list[list[str]]:
    """The file names of sets of images, given by COCO id."""
    filename_of = {record.image_id: record.filename for record in records}
    return [[filename_of[image] for image in sorted(members)] for members in images]


def _coco_ids(record: Record) -> list[tuple[int, int]]:
    """For each caption COCO's id of its image and of itself."""
    image, captions = record.image_id, record.caption_ids
    if image is None or captions is None or len(captions) != len(record.captions):
        raise OvertopError(
            f"image {record.filename!r} lacks COCO's ids: cocoid and each sentence's sentid, or image_id and one of "
            "caption_ids per caption; add them, or remove `extended`, which needs them"
        )
    return [(image, caption) for caption in captions]
