"""data/downloads: files that were fetched or put there by hand, each under its source's name."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from huggingface_hub import constants

from overtop.config.sources import FileSource, HubSource
from overtop.downloads import http as transfer
from overtop.downloads import hub
from overtop.downloads.digests import Digest, Expected
from overtop.downloads.lock import exclusively, locked, settle
from overtop.downloads.retries import Absent, Failed
from overtop.errors import NotThere, OvertopError

PREFETCH = "snakemake data/prefetch/TABLE.json"
"""The command that fetches all that a table needs, for jobs without network."""


def keep(name: str, source: FileSource | HubSource, file: str, data: Path) -> Path:
    """The verified local path of one file of a source, which is fetched unless it is there.

    Args:
        name: the source's key in config.yaml.
        source: its entry.
        file: the file's path within the source.
        data: the data folder.

    Raises:
        OvertopError: the file cannot be had, or is not the one that config.yaml or the lock table knows.
    """
    target, lock = _target(data / "downloads" / name, file), data / "lock.csv"
    declared = Expected(f"sources.{name} in config.yaml")
    if isinstance(source, FileSource):
        declared = Expected(declared.by, source.bytes, source.sha256)
    row = locked(lock, name, file)
    expected = declared if row is None else Expected(f"{lock}, row {name},{file}", row.bytes, row.sha256)
    with _told(f"{expected.by} disagrees with config.yaml: it", "remove the row, or correct config.yaml"):
        declared.compare("bytes", expected.bytes)
        declared.compare("sha256", expected.sha256)
    if target.exists():
        with _told(str(target), "remove the file to have it fetched again, or correct config.yaml"):
            digest = declared.check(target)
    else:
        digest = _fetch(name, source, file, target, expected)
    settle(lock, name, file, target, digest)
    return target


def _target(folder: Path, file: str) -> Path:
    """Where a file lies; by its name alone, because a link put there by hand may lead anywhere."""
    if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
        raise OvertopError(f"{file!r} points outside {folder}; give a path inside that folder")
    return folder / file


def _fetch(name: str, source: FileSource | HubSource, file: str, target: Path, expected: Expected) -> Digest:
    """Bring a file that is not there; of several jobs that want it, the first."""
    by_hand = f"put the file at {target} by hand"
    mend = f"accept the terms ({source.terms}), then {by_hand}" if source.terms else by_hand
    if constants.HF_HUB_OFFLINE:
        raise OvertopError(
            f"sources.{name}: {target} is not there, and HF_HUB_OFFLINE forbids to fetch it; where there is network, "
            f"run {PREFETCH}, or {mend}"
        )
    if isinstance(source, FileSource) and not source.addresses:
        raise OvertopError(f"sources.{name}: {file} is not fetched by itself; {mend}")
    with exclusively(target), _told(f"sources.{name}:", mend), _room(target):
        if target.exists():
            return expected.check(target)
        if isinstance(source, FileSource):
            return transfer.download(source.addresses, target, expected)
        return hub.download(source, file, target, expected)


@contextmanager
def _told(what: str, mend: str) -> Iterator[None]:
    """Turn a failure into the line that the user reads."""
    try:
        yield
    except Failed as failure:
        kind = NotThere if isinstance(failure, Absent) else OvertopError
        raise kind(f"{what} {failure}; {mend}") from failure


@contextmanager
def _room(target: Path) -> Iterator[None]:
    """Tell a full disk from other failures."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OvertopError(f"{target}: no space left to fetch it; free some and run the same command again") from error
