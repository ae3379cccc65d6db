"""Extracting single files from zip archives by their base names; zipfile verifies the CRC of each."""

import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from overtop.datasets.annotations import Record
from overtop.datasets.raw import raw_file
from overtop.errors import OvertopError
from overtop.progress import track
from overtop.storage.bounds import MAX_IMAGE_BYTES, MAX_TEXT_BYTES
from overtop.storage.foreign import report_damage
from overtop.storage.zip_files import check_directory

_WHAT, _FIX = "cannot be decompressed", "the archive is damaged or encrypted, get it again"


def read_member(path: Path, member: str) -> bytes:
    """The content of one member of an archive.

    Raises:
        OvertopError: the archive is damaged or has no such member.
    """
    with open_zip(path) as archive:
        if member not in archive.namelist():
            files = ", ".join(name for name in archive.namelist() if ".json" in name)
            raise OvertopError(f"{path}: no member {member!r}; its JSON files: {files or 'none'}; correct `member`")
        return read_zip_member(archive, member, MAX_TEXT_BYTES)


def extract_images(path: Path, records: Sequence[Record], folder: Path) -> set[str]:
    """Extract the images of the records that are in the archive.

    A member belongs to a record if their base names are equal. If several members have this name, the one in the
    record's folder is used.

    Args:
        path: the zip archive.
        records: the records whose images are requested.
        folder: where the images are written, under the records' file names; member names never become paths.

    Returns:
        File names of the records whose images are in the archive.

    Raises:
        OvertopError: the archive is damaged, or several members match one image.
    """
    extracted = set()
    with open_zip(path) as archive:
        members = defaultdict(list)
        for member in archive.namelist():
            if not member.endswith("/"):
                members[PurePosixPath(member).name].append(member)
        for record in track(records, path.name, "image"):
            candidates = members.get(PurePosixPath(record.filename).name)
            if candidates:
                member = _select_member(path, candidates, record)
                content = read_zip_member(archive, member)
                with raw_file(folder, record.filename) as temporary:
                    temporary.write_bytes(content)
                extracted.add(record.filename)
    return extracted


def _select_member(path: Path, candidates: Sequence[str], record: Record) -> str:
    """The only candidate, or the one in the folder of the record."""
    if len(candidates) == 1:
        return candidates[0]
    end = "/" + str(PurePosixPath(record.folder) / record.filename)
    matches = [member for member in candidates if f"/{member}".endswith(end)]
    if len(matches) != 1:
        raise OvertopError(
            f"{path}: {' and '.join(candidates)} all match image {record.filename!r}; "
            "use annotations with the right `filepath`, or an archive with only one of them"
        )
    return matches[0]


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive, and report any damage as an `OvertopError`."""
    with report_damage(path, _FIX, _WHAT):
        archive = zipfile.ZipFile(path)
        check_directory(archive)
    with archive:
        yield archive


def read_zip_member(archive: zipfile.ZipFile, member: str, limit: int = MAX_IMAGE_BYTES) -> bytes:
    """The content of one member of an open archive.

    Raises:
        OvertopError: it is damaged, encrypted, or larger than `limit` bytes.
    """
    with report_damage(str(archive.filename), _FIX, _WHAT):
        size = archive.getinfo(member).file_size  # zipfile reads no more than this
        if size > limit:
            raise ValueError(f"member {member!r} has {size:,} bytes, more than {limit:,}")
        return archive.read(member)
