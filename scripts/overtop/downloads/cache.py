"""data/downloads: files that were downloaded or placed by hand, each in the folder of its source."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from huggingface_hub import constants

from overtop.config.sources import FileSource, HubSource
from overtop.downloads import http, hub
from overtop.downloads.digests import Digest, ExpectedDigest
from overtop.downloads.lock import exclusive_lock, read_lock_row, record_or_verify
from overtop.downloads.retries import DownloadError, GaveUpError, NotFoundError
from overtop.errors import MissingFileError, OvertopError, UnavailableError
from overtop.storage.files import report_disk_full

PREFETCH_COMMAND = "snakemake --force data/prefetch/TABLE.json"
"""Downloads, or verifies, everything that a table needs, for jobs without network."""


def fetch_verified(name: str, source: FileSource | HubSource, file: str, data: Path) -> Path:
    """The local path of one file of a source, verified; the file is downloaded unless it exists.

    Args:
        name: the source's key in config.yaml.
        source: its entry.
        file: path of the file within the source.
        data: the data folder.

    Raises:
        MissingFileError: the source has no such file.
        OvertopError: the file cannot be downloaded, or differs from config.yaml or the lock table.
    """
    target, lock = _target_path(data / "downloads" / name, file), data / "lock.csv"
    configured = _configured_digest(name, source)
    recorded = read_lock_row(lock, name, file)
    expected = configured
    if recorded is not None:
        expected = ExpectedDigest(f"{lock}, row {name},{file}", recorded.bytes, recorded.sha256)
    with _reported(f"{expected.stated_by} disagrees with config.yaml", "remove the row, or correct config.yaml"):
        configured.check_bytes(expected.bytes)
        configured.check_sha256(expected.sha256)
    if target.exists():
        with _reported(str(target), "remove the file to download it again, or correct config.yaml"):
            digest = configured.verify(target)
    else:
        digest = _download(name, source, file, target, expected)
    record_or_verify(lock, name, file, target, digest)
    return target


def _target_path(folder: Path, file: str) -> Path:
    """`folder / file`, checked by name only: a link that was placed by hand may lead anywhere."""
    if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
        raise OvertopError(f"{file!r} points outside {folder}; give a path inside that folder")
    return folder / file


def _configured_digest(name: str, source: FileSource | HubSource) -> ExpectedDigest:
    """Size and digest that config.yaml declares for a source."""
    place = f"sources.{name} in config.yaml"
    return (
        ExpectedDigest(place, source.bytes, source.sha256, source.md5)
        if isinstance(source, FileSource)
        else ExpectedDigest(place)
    )


def _download(name: str, source: FileSource | HubSource, file: str, target: Path, expected: ExpectedDigest) -> Digest:
    """Download a file that does not exist; if several jobs need it, the first one downloads it."""
    fix = f"put the file at {target} by hand"
    if source.terms:
        fix = f"accept the terms ({source.terms}), then {fix}"
    if constants.HF_HUB_OFFLINE:
        raise OvertopError(
            f"sources.{name}: {target} does not exist, and HF_HUB_OFFLINE forbids downloads; where there is network, "
            f"run {PREFETCH_COMMAND}, or {fix}"
        )
    if isinstance(source, FileSource) and not source.addresses:
        raise OvertopError(f"sources.{name}: {file} is not downloaded automatically; {fix}")
    with exclusive_lock(target), _reported(f"sources.{name}", fix), report_disk_full(target):
        if target.exists():
            return expected.verify(target)
        if isinstance(source, FileSource):
            return http.download(source.addresses, target, expected)
        return hub.download(source, file, target, expected)


@contextmanager
def _reported(place: str, fix: str) -> Iterator[None]:
    """Convert a `DownloadError` into the one-line error for the user.

    Args:
        place: where the problem is: the key or file at the beginning of the message.
        fix: what the user can do about it.
    """
    try:
        yield
    except DownloadError as error:
        kinds = {NotFoundError: MissingFileError, GaveUpError: UnavailableError}
        raise kinds.get(type(error), OvertopError)(f"{place}: {error}; {fix}") from error
