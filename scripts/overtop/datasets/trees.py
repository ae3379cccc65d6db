"""The files of a folder, a zip or a tar archive, read in place."""

import os
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from overtop.datasets.archives import open_zip, read_zip_member
from overtop.datasets.raw import FetchContext, resolve_source
from overtop.datasets.tar_files import BoundedTarInfo, check_end_of_archive, read_tar_member
from overtop.errors import OvertopError
from overtop.storage.bounds import MAX_IMAGE_BYTES
from overtop.storage.foreign import read_bytes, report_damage

_WHAT, _FIX = "cannot be read as a tar archive", "get it again"

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Tree:
    """Files by name.

    Attributes:
        place: the folder or archive, for messages.
        names: relative paths of all files, with `/`, in the order of an archive, or sorted.
        read: returns the content of a file.
    """

    place: str
    names: list[str]
    read: Callable[[str], bytes]


def find_tree(source: str, context: FetchContext) -> Path:
    """The local folder or archive of one of the `sources`.

    Raises:
        OvertopError: it cannot be fetched, or is a repository, whose files cannot be listed.
    """
    entry = context.source(source)
    if entry.kind == "hub":
        raise OvertopError(f"config.yaml: sources.{source} is of kind hub; this layout needs a folder or an archive")
    if entry.kind == "folder":
        return resolve_source(f"sources.{source}.path", entry.path, context.mirror)
    [path] = context.fetch_files(source)
    return path


@contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """Open a folder, a zip archive (`.zip`) or a tar archive (any other file, compressed or not).

    Raises:
        OvertopError: the archive is damaged, or has a link, or a member outside its folder.
    """
    if path.is_dir():
        yield Tree(str(path), _list_folder(path), lambda name: read_bytes(path / name, MAX_IMAGE_BYTES))
    elif path.suffix.lower() == ".zip":
        with open_zip(path) as archive:
            members = {_inner_name(path, name): name for name in archive.namelist() if not name.endswith("/")}
            yield Tree(str(path), list(members), lambda name: read_zip_member(archive, members[name]))
    else:
        with _open_tar(path) as tree:
            yield tree


def _list_folder(folder: Path) -> list[str]:
    """All files below a folder, sorted; links are followed."""
    found: list[str] = []
    for root, folders, names in os.walk(folder, followlinks=True):
        own = Path(root).resolve()  # a link to a folder that contains it would be followed again and again
        folders[:] = [name for name in folders if not own.is_relative_to(Path(root, name).resolve())]
        found.extend(Path(root, name).relative_to(folder).as_posix() for name in names)
    return sorted(found)


def _inner_name(path: Path, name: str) -> str:
    """The normalised name of a member of an archive."""
    normal = posixpath.normpath(name)
    if posixpath.isabs(normal) or normal.split("/")[0] == "..":
        raise OvertopError(f"{path}: member {name!r} points outside the archive; use another archive")
    return normal


@contextmanager
def _open_tar(path: Path) -> Iterator[Tree]:
    with report_damage(path, _FIX, _WHAT):
        archive = tarfile.open(path, tarinfo=BoundedTarInfo)  # noqa: SIM115 (errors of the caller are not its)
    with archive:
        with report_damage(path, _FIX, _WHAT):
            members = _list_tar(path, archive)

        def read(name: str) -> bytes:
            with report_damage(path, _FIX, _WHAT):
                return read_tar_member(archive, members[name])

        yield Tree(str(path), list(members), read)


def _list_tar(path: Path, archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The files of an archive by their normalised names; of a name that occurs twice the last one, as in tar."""
    members = {}
    for member in archive:
        if not (member.isreg() or member.isdir()):
            raise OvertopError(f"{path}: member {member.name!r} is neither file nor folder; extract it by hand")
        if member.isreg():
            members[_inner_name(path, member.name)] = member
    if path.suffix.lower() == ".tar":
        check_end_of_archive(path, archive.getmembers())
    else:  # the checksum of what is compressed is behind the end of the archive
        while archive.fileobj is not None and archive.fileobj.read(_CHUNK_BYTES):
            pass
    return members
