"""Images and their captions out of webdataset shards: plain tar archives, the files of a sample one after the other.

A sample is an image (`KEY.jpg`, `.jpeg`, `.png` or `.webp`) and `KEY.txt` with one caption a line; a newline within a
caption is written as backslash and n, as CLIP_benchmark does, whose shards these are. Other files of a sample are
passed over. The `webdataset` package is not needed: it opens pipes and addresses besides files, may unpickle what it
finds, and lets a sample without captions pass.
"""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from overtop.errors import OvertopError
from overtop.storage.files import inside

_IMAGES = ("jpg", "jpeg", "png", "webp")
_AGAIN = "the shard is damaged or of another form, get it again"


@dataclass(frozen=True)
class Sample:
    """One image as it was stored.

    Attributes:
        name: the member's name, `KEY.jpg`.
        image: the encoded image.
        captions: as many as there are lines.
    """

    name: str
    image: bytes
    captions: tuple[str, ...]


def count_shards(path: Path) -> int:
    """The number of shards, as `nshards.txt` tells it.

    Raises:
        OvertopError: the file holds something else.
    """
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise OvertopError(f"{path}: {text[:40]!r} is not a number of shards; get the file again, or correct it")
    return int(text)


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of one shard, one at a time.

    Raises:
        OvertopError: the shard is damaged or cut short, a sample lacks one of its files, or a name leads elsewhere.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for key, group in groupby(_members(archive, path), key=lambda member: _key_and_suffix(member.name)[0]):
                yield _sample(archive, path, key, list(group))
            _prove_end(path, archive.getmembers())
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise OvertopError(f"{path}: cannot be read ({error}); {_AGAIN}") from error


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        inside(path.parent, member.name)
        if member.isreg():
            yield member
        elif not member.isdir():
            raise OvertopError(f"{path}: member {member.name!r} is neither file nor folder; {_AGAIN}")


def _key_and_suffix(name: str) -> tuple[str, str]:
    """A member's key goes up to the first dot of its base name."""
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return folder + slash + stem, suffix.lower()


def _sample(archive: tarfile.TarFile, path: Path, key: str, members: Sequence[tarfile.TarInfo]) -> Sample:
    images = [member for member in members if _key_and_suffix(member.name)[1] in _IMAGES]
    texts = [member for member in members if _key_and_suffix(member.name)[1] == "txt"]
    if len(images) != 1 or len(texts) != 1:
        raise OvertopError(
            f"{path}: sample {key!r} has {', '.join(member.name for member in members)}; it needs one image "
            f"(.{', .'.join(_IMAGES)}) and one .txt beside it; {_AGAIN}"
        )
    lines = _content(archive, texts[0]).decode("utf-8").split("\n")
    captions = tuple(line.replace("\\n", "\n").strip() for line in lines if line.strip())
    if not captions:
        raise OvertopError(f"{path}: {texts[0].name} holds no caption; {_AGAIN}")
    return Sample(images[0].name, _content(archive, images[0]), captions)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = archive.extractfile(member)
    assert handle is not None  # it is of a regular file
    return handle.read()


def _prove_end(path: Path, members: Sequence[tarfile.TarInfo]) -> None:
    """A cut, or a damaged header, ends a tar quietly; an empty block ends it rightly."""
    end = members[-1].offset_data + members[-1].size if members else 0
    with open(path, "rb") as handle:
        handle.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if handle.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise OvertopError(f"{path}: ends in the middle, after {members[-1].name if members else 'none'}; {_AGAIN}")
