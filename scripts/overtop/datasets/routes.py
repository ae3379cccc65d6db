"""Downloading captioned images by a route: zip archives of images, or webdataset shards.

On every route the images are written to one folder, under the file names of the annotations.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from overtop.config.datasets import ArchivesRoute, Route, ShardsRoute
from overtop.datasets.annotations import Record, parse_split
from overtop.datasets.archives import extract_images, read_member
from overtop.datasets.raw import FetchContext, raw_file
from overtop.datasets.webdataset import iterate_shards, parse_captions, read_samples
from overtop.errors import OvertopError
from overtop.storage.foreign import read_bytes
from overtop.storage.names import FileNames


def fetch_by_route(route: Route, split: str, images: Path, context: FetchContext) -> list[Record]:
    """Download one split by one route.

    Args:
        route: its entry in config.yaml.
        split: name of the split.
        images: folder that the images are written to.
        context: settings of the run.

    Returns:
        The records of the split, in the order of the annotations, or of the shards if there are no annotations.

    Raises:
        OvertopError: the route does not offer the split, or its files cannot be fetched or do not match.
    """
    if route.splits is not None and split not in route.splits:
        raise OvertopError(f"offers only {', '.join(route.splits)}")
    if isinstance(route, ShardsRoute):
        return _fetch_from_shards(route, split, images, context)
    return _fetch_from_archives(route, split, images, context)


def _fetch_from_archives(route: ArchivesRoute, split: str, images: Path, context: FetchContext) -> list[Record]:
    records = _fetch_annotations(route.annotations, route.member, split, context)
    missing = {record.filename: record for record in records}
    searched: list[Path] = []
    for source in route.images:
        if missing:  # otherwise the archive is not downloaded: a split of COCO may be in one of its two archives
            path = _fetch_archive(source, context)
            searched.append(path)
            for filename in extract_images(path, list(missing.values()), images):
                del missing[filename]
    if missing:
        raise OvertopError(
            f"{' and '.join(map(str, searched))}: no member {next(iter(missing))!r}; {len(missing)} images of split "
            f"{split!r} are missing in total; use the archives that belong to the annotations"
        )
    return records


def _fetch_from_shards(route: ShardsRoute, split: str, images: Path, context: FetchContext) -> list[Record]:
    annotated = None
    if route.annotations is not None:
        annotated = _fetch_annotations(route.annotations, route.member, split, context)
    index = None if annotated is None else _CaptionIndex(annotated)
    written: dict[str, Record] = {}
    names = FileNames(f"the shards of split {split!r}")
    for path in iterate_shards(lambda file: context.fetch_files(route.shards, [file])[0], split):
        for sample in read_samples(path, "txt"):
            captions = parse_captions(path, sample)
            record = Record(sample.name, captions) if index is None else index.find(path, sample.name, captions)
            names.add(record.filename, f"{path}: sample {sample.name!r}")
            written[record.filename] = record
            with raw_file(images, record.filename) as temporary:
                temporary.write_bytes(sample.image)
    if annotated is None:
        return list(written.values())
    missing = [record.filename for record in annotated if record.filename not in written]
    if missing:
        raise OvertopError(
            f"the shards of split {split!r} lack image {missing[0]!r}; {len(missing)} images of the annotations are "
            "missing in total; nshards.txt, the shards or the annotations are of another split"
        )
    return annotated


def _fetch_archive(source: str, context: FetchContext) -> Path:
    if context.source(source).kind != "file":
        raise OvertopError(f"config.yaml: sources.{source} is not of kind file; `images` of a route are zip archives")
    [path] = context.fetch_files(source)
    return path


def _fetch_annotations(source: str, member: str, split: str, context: FetchContext) -> list[Record]:
    """The records of a split, from a file, a member of a zip archive, or a file in a folder or repository."""
    return parse_split(*fetch_member(source, member, context), split)


def fetch_member(source: str, member: str, context: FetchContext) -> tuple[str, bytes]:
    """The name and the content of a file, a member of a zip archive, or a file in a folder or repository.

    Args:
        source: one of the `sources`.
        member: name of the file within it; empty for a source that is the file itself.
        context: settings of the run.

    Raises:
        OvertopError: the source cannot be fetched or has no such member.
    """
    if context.source(source).kind != "file":
        [path] = context.fetch_files(source, [member])
        return str(path), read_bytes(path)
    [path] = context.fetch_files(source)
    return (f"{path}/{member}", read_member(path, member)) if member else (str(path), read_bytes(path))


class _CaptionIndex:
    """Finds the record of a sample: the one with the same captions, in any order."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = defaultdict(list)
        for record in records:
            self._records[_normalise_captions(record.captions)].append(record)

    def find(self, path: Path, name: str, captions: Sequence[str]) -> Record:
        """The record of the sample `name` of the shard `path`.

        Raises:
            OvertopError: no record, or more than one, has the captions of the sample.
        """
        matches = self._records.get(_normalise_captions(captions), [])
        if len(matches) != 1:
            names = " and ".join(repr(record.filename) for record in matches) or "no image of the annotations"
            raise OvertopError(
                f"{path}: sample {name!r} has the captions of {names}; use the annotations of this split, or "
                "another route"
            )
        return matches[0]


def _normalise_captions(captions: Sequence[str]) -> tuple[str, ...]:
    """Captions sorted and with single spaces, because white space differs between copies of a data set."""
    return tuple(sorted(" ".join(caption.split()) for caption in captions))
