"""data/lock.csv: the digest of every downloaded file, recorded at first use and compared at every later one."""

import csv
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from overtop.downloads.digests import Digest
from overtop.errors import OvertopError
from overtop.storage.files import write_text
from overtop.storage.foreign import READ_ERRORS

COLUMNS = ["name", "file", "bytes", "sha256"]

logger = logging.getLogger(__name__)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Let one process at a time write `path`; others wait. The lock is released if its process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("waiting for another job that writes %s", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def read_lock_row(lock: Path, name: str, file: str) -> Digest | None:
    """The recorded digest of a file, or None if there is no row for it.

    Args:
        lock: the lock table.
        name: where the file comes from: the key of a source, or the name of an encoder.
        file: its path within that source.

    Raises:
        OvertopError: the table cannot be read.
    """
    return _read_rows(lock).get((name, file))


def record_or_verify(lock: Path, name: str, file: str, path: Path, digest: Digest) -> None:
    """Record the digest of a file if the lock table has no row for it; otherwise compare it with the row.

    Args:
        lock: the lock table.
        name: as for `read_lock_row`.
        file: as for `read_lock_row`.
        path: where the file is, for the error message.
        digest: the digest of the file.

    Raises:
        OvertopError: the file differs from the recorded one; the message names the table and the row.
    """
    recorded = read_lock_row(lock, name, file)
    if recorded is None:
        with exclusive_lock(lock):
            rows = _read_rows(lock)  # again: another process may have added the row in the meantime
            recorded = rows.setdefault((name, file), digest)
            if recorded is digest:
                _write_rows(lock, rows)
    if recorded != digest:
        raise OvertopError(
            f"{path} has {digest.bytes} bytes, sha256 {digest.sha256}, but {lock}, row {name},{file}, records "
            f"{recorded.bytes} bytes, sha256 {recorded.sha256}; remove the file to download it again, or the row if "
            "the new file is right"
        )


def _read_rows(lock: Path) -> dict[tuple[str, str], Digest]:
    """All recorded digests by name and file; empty without a table."""
    try:
        with open(lock, newline="", encoding="utf-8") as handle:
            header, *rows = csv.reader(handle, strict=True)
        if header != COLUMNS:
            raise ValueError(f"its columns are {','.join(header)}")
        return dict(_parse_row(*row) for row in rows)
    except FileNotFoundError:
        return {}
    except READ_ERRORS as error:
        raise OvertopError(
            f"{lock} is not a lock table with the columns {','.join(COLUMNS)}; restore it, or remove it to record all "
            "digests again"
        ) from error


def _parse_row(name: str, file: str, size: str, digest: str) -> tuple[tuple[str, str], Digest]:
    if not re.fullmatch("[0-9a-f]{64}", digest) or int(size) < 0:
        raise ValueError(f"row {name},{file} has no size and sha256")
    return (name, file), Digest(int(size), digest)


def _write_rows(lock: Path, rows: dict[tuple[str, str], Digest]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([*key, digest.bytes, digest.sha256] for key, digest in sorted(rows.items()))
    write_text(lock, text.getvalue())
