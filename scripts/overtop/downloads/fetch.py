"""Fetching the files of a source: downloaded at first use, verified at every use."""

from collections.abc import Sequence
from pathlib import Path

from overtop.config.sources import FileSource, FolderSource, SourceSpec
from overtop.downloads.cache import fetch_verified
from overtop.downloads.mirror import resolve_in_mirror
from overtop.errors import MissingFileError, OvertopError


def fetch_files(name: str, source: SourceSpec, members: Sequence[str], data: Path, mirror: str | None) -> list[Path]:
    """Local paths of files of a source, complete and verified; existing files are not downloaded again.

    Downloads are in `data/downloads/NAME/`, where files may also be placed by hand, and their digests in
    `data/lock.csv`. The files of a folder are used in place and have no recorded digest, because the user may change
    them.

    Args:
        name: the source's key in config.yaml.
        source: its entry.
        members: paths of the requested files within a folder or a hub repository; empty for a source that is one file.
        data: the data folder.
        mirror: the folder that relative folders are inside, or None.

    Returns:
        The paths in the order of `members`, or the one path of a file.

    Raises:
        MissingFileError: the source has no such file.
        OvertopError: a file cannot be downloaded or is not the expected one; the message states why, which addresses
            were tried, and where to put the file by hand.
    """
    if isinstance(source, FolderSource):
        folder = _source_folder(name, source, mirror)
        return [_existing_member(name, folder, member) for member in members]
    if isinstance(source, FileSource):
        if members:
            raise ValueError(f"source {name!r} is one file and has no members")
        return [fetch_verified(name, source, source.file, data)]
    return [fetch_verified(name, source, member, data) for member in members]


def _source_folder(name: str, source: FolderSource, mirror: str | None) -> Path:
    folder = resolve_in_mirror(source.path, mirror, f"sources.{name}.path")
    if not folder.is_dir():
        raise OvertopError(f"sources.{name}.path: folder {folder} does not exist; correct `mirror` or the path")
    return folder


def _existing_member(name: str, folder: Path, member: str) -> Path:
    path = folder / member
    if not path.is_file():
        raise MissingFileError(f"sources.{name}: {path} is missing; complete the folder, or use another source")
    return path
