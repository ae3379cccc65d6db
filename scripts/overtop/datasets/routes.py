"""Ways to photographs with captions that lie elsewhere: archives of images, and webdataset shards.

Whatever the way, images end in one folder under the names that the annotations give them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from overtop.config.datasets import ArchivesRoute, Route, ShardsRoute
from overtop.datasets.annotations import Record, parse_split
from overtop.datasets.archives import extract, read_member
from overtop.datasets.raw import Context
from overtop.datasets.webdataset import Sample, count_shards, read_samples
from overtop.errors import OvertopError
from overtop.storage.files import atomic_path, inside


def follow(route: Route, split: str, images: Path, context: Context) -> list[Record]:
    """Bring one split by one route.

    Args:
        images: folder that the images go to.

    Returns:
        The records of the split, in the order of the annotations, or of the shards where there are none.

    Raises:
        OvertopError: the route does not lead there; the message says where it ends and what to do.
    """
    if route.splits is not None and split not in route.splits:
        raise OvertopError(f"is for {', '.join(route.splits)} alone")
    if isinstance(route, ShardsRoute):
        return _from_shards(route, split, images, context)
    return _from_archives(route, split, images, context)


def _from_archives(route: ArchivesRoute, split: str, images: Path, context: Context) -> list[Record]:
    records = _annotated(route.annotations, route.member, split, context)
    missing = {record.filename: record for record in records}
    searched: list[Path] = []
    for source in route.images:
        if missing:  # a split of COCO may well lie in one of its two archives
            path = _archive(source, context)
            searched.append(path)
            for filename in extract(path, list(missing.values()), images):
                del missing[filename]
    if missing:
        raise OvertopError(
            f"{' and '.join(map(str, searched))}: no member {next(iter(missing))!r}, and {len(missing)} images of "
            f"split {split!r} are missing in all; get the archives that the annotations speak of"
        )
    return records


def _from_shards(route: ShardsRoute, split: str, images: Path, context: Context) -> list[Record]:
    records = None
    if route.annotations is not None:
        records = _annotated(route.annotations, route.member, split, context)
    identify = _named_by_themselves if records is None else _by_captions(records)
    found: dict[str, Record] = {}
    for path in _shards(route, split, context):
        for sample in read_samples(path):
            record = identify(path, sample)
            if record.filename in found:
                raise OvertopError(f"{path}: sample {sample.name!r} is image {record.filename!r}, which came before")
            found[record.filename] = record
            with atomic_path(inside(images, record.filename)) as temporary:
                temporary.write_bytes(sample.image)
    missing = [record.filename for record in records or () if record.filename not in found]
    if missing:
        raise OvertopError(
            f"the shards of split {split!r} lack image {missing[0]!r} and {len(missing)} of the annotations' images in "
            "all; nshards.txt or the shards are not those of the split that the annotations mean"
        )
    return records if records is not None else list(found.values())


def _archive(source: str, context: Context) -> Path:
    if context.source(source).kind != "file":
        raise OvertopError(f"config.yaml: sources.{source} is not of kind file; `images` of a route are zip archives")
    (path,) = context.bring(source)
    return path


def _annotated(source: str, member: str, split: str, context: Context) -> list[Record]:
    """The records of a split: of a file, of a zip's member, or of a file in a folder."""
    if context.source(source).kind != "file":
        (path,) = context.bring(source, [member])
        return parse_split(str(path), path.read_bytes(), split)
    (path,) = context.bring(source)
    if member:
        return parse_split(f"{path}/{member}", read_member(path, member), split)
    return parse_split(str(path), path.read_bytes(), split)


def _shards(route: ShardsRoute, split: str, context: Context) -> Iterator[Path]:
    (counted,) = context.bring(route.shards, [f"{split}/nshards.txt"])
    for number in range(count_shards(counted)):
        yield from context.bring(route.shards, [f"{split}/{number}.tar"])


def _named_by_themselves(path: Path, sample: Sample) -> Record:
    return Record(sample.name, sample.captions)


def _by_captions(records: Sequence[Record]) -> Callable[[Path, Sample], Record]:
    """A function that knows a sample's record: the one with the same captions, in whatever order."""
    known = defaultdict(list)
    for record in records:
        known[_told(record.captions)].append(record)

    def identify(path: Path, sample: Sample) -> Record:
        same = known.get(_told(sample.captions), [])
        if len(same) != 1:
            names = " and ".join(repr(record.filename) for record in same) or "no image of the annotations"
            raise OvertopError(
                f"{path}: sample {sample.name!r} has the captions of {names}; take the annotations of this very split, "
                "or another way to it"
            )
        return same[0]

    return identify


def _told(captions: Sequence[str]) -> tuple[str, ...]:
    """What makes two lists of captions the same: their words. Spaces differ between copies of a data set."""
    return tuple(sorted(" ".join(caption.split()) for caption in captions))
