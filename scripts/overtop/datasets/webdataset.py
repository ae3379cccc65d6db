"""Reading images with captions or labels from webdataset shards: tar archives with the files of a sample in sequence.

A sample is an image (`KEY.jpg`, `.jpeg`, `.png` or `.webp`) and a text: `KEY.txt` with one caption per line, or
`KEY.cls` with the number of its class. As in the shards of CLIP_benchmark, a newline within a caption is written as
backslash and n. Other files of a sample are ignored. The package `webdataset` is not used: it opens pipes and URLs in
addition to files, may unpickle members, and accepts samples without captions.
"""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from overtop.datasets.tar_files import BoundedTarInfo, check_end_of_archive, read_tar_member
from overtop.errors import OvertopError
from overtop.storage.bounds import MAX_SAMPLE_TEXT_BYTES, MAX_SHARDS
from overtop.storage.files import resolve_inside
from overtop.storage.foreign import read_bytes, report_damage

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
"""Suffixes of image files, in lower case."""

_FIX = "the shard is damaged or has another format, get it again"


@dataclass(frozen=True)
class Sample:
    """One image with its text.

    Attributes:
        name: name of the image's member, `KEY.jpg`.
        image: the encoded image.
        text: its captions or its label, as stored.
    """

    name: str
    image: bytes
    text: str


def count_shards(path: Path) -> int:
    """The number of shards in `nshards.txt`.

    Raises:
        OvertopError: the content is not a positive integer.
    """
    text = read_bytes(path, MAX_SAMPLE_TEXT_BYTES).decode("utf-8", errors="replace").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= MAX_SHARDS):
        raise OvertopError(f"{path}: {text[:40]!r} is not a number of shards; get the file again, or correct it")
    return int(text)


def iterate_shards(fetch: Callable[[str], Path], folder: str) -> Iterator[Path]:
    """Iterate over the shards of a folder; each is fetched when it is needed.

    Args:
        fetch: returns the local path of a file of the source.
        folder: the folder of the split within the source.

    Raises:
        OvertopError: the number of shards is not stated, or a shard cannot be fetched.
    """
    for number in range(count_shards(fetch(f"{folder}/nshards.txt"))):
        yield fetch(f"{folder}/{number}.tar")


def read_samples(path: Path, suffix: str) -> Iterator[Sample]:
    """Iterate over the samples of one shard.

    Args:
        path: the shard.
        suffix: of the text of each sample, `txt` or `cls`.

    Raises:
        OvertopError: the shard is damaged or truncated, a sample lacks its image or text, or a member's name points
            outside the folder.
    """
    with report_damage(path, _FIX), tarfile.open(path, "r:", tarinfo=BoundedTarInfo) as archive:
        for key, group in groupby(
            _iterate_files(archive, path), key=lambda member: _split_key_and_suffix(member.name)[0]
        ):
            yield _read_sample(archive, path, key, list(group), suffix)
        check_end_of_archive(path, archive.getmembers())


def parse_captions(path: Path, sample: Sample) -> tuple[str, ...]:
    """The captions of a sample of the shard `path`, one per non-empty line of its text.

    Raises:
        OvertopError: it has no caption.
    """
    lines = sample.text.split("\n")
    captions = tuple(line.replace("\\n", "\n").strip() for line in lines if line.strip())
    if not captions:
        raise OvertopError(f"{path}: sample {sample.name!r} has no caption; {_FIX}")
    return captions


def parse_label(path: Path, sample: Sample, n_classes: int) -> int:
    """The class number of a sample of the shard `path`, from 0.

    Raises:
        OvertopError: its text is not the number of one of the classes.
    """
    text = sample.text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < n_classes):
        raise OvertopError(
            f"{path}: the label of sample {sample.name!r} is {text[:40]!r}, not a number from 0 to {n_classes - 1}; "
            "the shard, or the list of class names, is damaged or of another data set"
        )
    return int(text)


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


def _read_sample(
    archive: tarfile.TarFile, path: Path, key: str, members: Sequence[tarfile.TarInfo], suffix: str
) -> Sample:
    images = [member for member in members if _split_key_and_suffix(member.name)[1] in IMAGE_SUFFIXES]
    texts = [member for member in members if _split_key_and_suffix(member.name)[1] == suffix]
    if len(images) != 1 or len(texts) != 1:
        raise OvertopError(
            f"{path}: sample {key!r} has {', '.join(member.name for member in members)}; it needs one image "
            f"(.{', .'.join(IMAGE_SUFFIXES)}) and one .{suffix}; {_FIX}"
        )
    text = read_tar_member(archive, texts[0], MAX_SAMPLE_TEXT_BYTES).decode("utf-8")
    return Sample(images[0].name, read_tar_member(archive, images[0]), text)
