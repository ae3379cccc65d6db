"""Bringing what others publish into the data folder: fetched once, verified always."""

from collections.abc import Sequence
from pathlib import Path

from overtop.config.sources import FileSource, FolderSource, SourceSpec
from overtop.downloads.cache import keep
from overtop.errors import OvertopError
from overtop.storage.files import in_mirror


def bring(name: str, source: SourceSpec, members: Sequence[str], data: Path, mirror: str | None) -> list[Path]:
    """Local paths of a source's files, each whole and verified; what is there is not fetched again.

    Downloads lie in `data/downloads/NAME/`, where files put by hand are taken as well, and their digests in
    `data/lock.csv`. A folder's files are used where they lie and have no digest: they are the user's own.

    Args:
        name: the source's key in config.yaml.
        source: its entry.
        members: the wanted files' paths within a hub's repository or a folder; empty for a file, which is one.
        data: the data folder.
        mirror: the folder that relative folders are inside of, if there is one.

    Returns:
        The paths in the order of `members`, or the one path of a file.

    Raises:
        OvertopError: a file cannot be had or is not the right one; the message says why, where it was sought, and
            where to put it by hand.
    """
    if isinstance(source, FolderSource):
        folder = _folder(name, source, mirror)
        return [_present(name, folder, member) for member in members]
    if isinstance(source, FileSource):
        if members:
            raise ValueError(f"source {name!r} is one file and has no members")
        return [keep(name, source, source.file, data)]
    return [keep(name, source, member, data) for member in members]


def _folder(name: str, source: FolderSource, mirror: str | None) -> Path:
    folder = in_mirror(source.path, mirror, f"sources.{name}.path: {source.path!r} is")
    if not folder.is_dir():
        raise OvertopError(f"sources.{name}.path: there is no folder {folder}; correct `mirror` or the path")
    return folder


def _present(name: str, folder: Path, member: str) -> Path:
    path = folder / member
    if not path.is_file():
        raise OvertopError(f"sources.{name}: {path} is missing; complete the folder, or name another source")
    return path
