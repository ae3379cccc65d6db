"""Reading images and captions from webdataset shards: plain tar archives with the files of each sample in sequence.

A sample is an image (`KEY.jpg`, `.jpeg`, `.png` or `.webp`) and `KEY.txt` with one caption per line; as in the shards
of CLIP_benchmark, a newline within a caption is written as backslash and n. Other files of a sample are ignored. The
package `webdataset` is not used: it opens pipes and URLs in addition to files, may unpickle members, and accepts
samples without captions.
"""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from overtop.errors import OvertopError
from overtop.storage.files import resolve_inside

_IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
_FIX = "the shard is damaged or has another format, get it again"


@dataclass(frozen=True)
class Sample:
    """One image with its captions.

    Attributes:
        name: name of the image's member, `KEY.jpg`.
        image: the encoded image.
        captions: one per non-empty line.
    """

    name: str
    image: bytes
    captions: tuple[str, ...]


def count_shards(path: Path) -> int:
    """The number of shards in `nshards.txt`.

    Raises:
        OvertopError: the content is not a positive integer.
    """
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise OvertopError(f"{path}: {text[:40]!r} is not a number of shards; get the file again, or correct it")
    return int(text)


def read_samples(path: Path) -> Iterator[Sample]:
    """Iterate over the samples of one shard.

    Raises:
        OvertopError: the shard is damaged or truncated, a sample lacks its image or captions, or a member's name points
            outside the folder.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for key, group in groupby(
                _iterate_files(archive, path), key=lambda member: _split_key_and_suffix(member.name)[0]
            ):
                yield _read_sample(archive, path, key, list(group))
            _check_end_of_archive(path, archive.getmembers())
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise OvertopError(f"{path}: cannot be read ({error}); {_FIX}") from error


def _iterate_files(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """The regular files of an archive; links and devices are errors."""
    for member in archive:
        resolve_inside(path.parent, member.name)
        if member.isreg():
            yield member
        elif not member.isdir():
            raise OvertopError(f"{path}: member {member.name!r} is neither file nor folder; {_FIX}")


def _split_key_and_suffix(name: str) -> tuple[str, str]:
    """The key of a member, up to the first dot of its base name, and the lower-case rest."""
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return folder + slash + stem, suffix.lower()


def _read_sample(archive: tarfile.TarFile, path: Path, key: str, members: Sequence[tarfile.TarInfo]) -> Sample:
    images = [member for member in members if _split_key_and_suffix(member.name)[1] in _IMAGE_SUFFIXES]
    texts = [member for member in members if _split_key_and_suffix(member.name)[1] == "txt"]
    if len(images) != 1 or len(texts) != 1:
        raise OvertopError(
            f"{path}: sample {key!r} has {', '.join(member.name for member in members)}; it needs one image "
            f"(.{', .'.join(_IMAGE_SUFFIXES)}) and one .txt; {_FIX}"
        )
    lines = _read_content(archive, texts[0]).decode("utf-8").split("\n")
    captions = tuple(line.replace("\\n", "\n").strip() for line in lines if line.strip())
    if not captions:
        raise OvertopError(f"{path}: {texts[0].name} has no caption; {_FIX}")
    return Sample(images[0].name, _read_content(archive, images[0]), captions)


def _read_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = archive.extractfile(member)
    assert handle is not None, "regular files have content"
    return handle.read()


def _check_end_of_archive(path: Path, members: Sequence[tarfile.TarInfo]) -> None:
    """Check that an empty block follows the last member; tarfile ignores truncation and damaged headers there."""
    end = members[-1].offset_data + members[-1].size if members else 0
    with open(path, "rb") as handle:
        handle.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if handle.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise OvertopError(f"{path}: truncated after {members[-1].name if members else 'no member'}; {_FIX}")
