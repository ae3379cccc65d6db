"""Single files out of zip archives, found by their base names, checked by the archive's own CRC."""

import shutil
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from overtop.datasets.annotations import Record
from overtop.errors import OvertopError
from overtop.storage.files import atomic_path, inside


def read_member(path: Path, member: str) -> bytes:
    """The content of one member.

    Raises:
        OvertopError: the archive is damaged or has no such member.
    """
    with _opened(path) as archive:
        if member not in archive.namelist():
            files = ", ".join(name for name in archive.namelist() if ".json" in name)
            raise OvertopError(f"{path}: no member {member!r}; its JSON files: {files or 'none'}; correct `member`")
        return archive.read(member)


def extract(path: Path, records: Sequence[Record], folder: Path) -> set[str]:
    """Extract the images of those records that the archive has.

    A member is taken for a record's image by its base name. Where several have that name, it is the one in the
    record's own folder.

    Args:
        path: the zip archive.
        records: what is wanted.
        folder: where an image goes, under the record's own name; the names of members never become paths.

    Returns:
        File names of the records that were found.

    Raises:
        OvertopError: the archive is damaged, or several members may be an image; the message names archive and member.
    """
    found = set()
    with _opened(path) as archive:
        members = defaultdict(list)
        for member in archive.namelist():
            if not member.endswith("/"):
                members[PurePosixPath(member).name].append(member)
        for record in tqdm(records, desc=path.name, unit="image", disable=None):
            candidates = members.get(PurePosixPath(record.filename).name)
            if candidates:
                member = _choose(path, candidates, record)
                with (
                    archive.open(member) as source,
                    atomic_path(inside(folder, record.filename)) as temporary,
                    open(temporary, "wb") as target,
                ):
                    shutil.copyfileobj(source, target)
                found.add(record.filename)
    return found


def _choose(path: Path, candidates: Sequence[str], record: Record) -> str:
    if len(candidates) == 1:
        return candidates[0]
    end = "/" + str(PurePosixPath(record.folder) / record.filename)
    own = [member for member in candidates if f"/{member}".endswith(end)]
    if len(own) != 1:
        raise OvertopError(
            f"{path}: {' and '.join(candidates)} may each be image {record.filename!r}; "
            "annotations with the right `filepath` would tell, or an archive with one of them"
        )
    return own[0]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: it is encrypted
        raise OvertopError(
            f"{path}: cannot be unpacked ({error}); the archive is damaged or encrypted, get it again"
        ) from error
