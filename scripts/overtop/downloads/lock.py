"""data/lock.csv: the digest of every file that was fetched, recorded at first use and verified ever after."""

import csv
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from overtop.downloads.digests import Digest
from overtop.errors import OvertopError
from overtop.storage.files import write_text

COLUMNS = ["name", "file", "bytes", "sha256"]

logger = logging.getLogger(__name__)


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Let one process at a time do what makes `path`; the others wait. A killed process holds up nobody."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("another job is writing %s; waiting for it", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def locked(lock: Path, name: str, file: str) -> Digest | None:
    """What the lock table says of a file, or None.

    Args:
        lock: the table.
        name: where the file comes from: the key of a source, or the name of an encoder.
        file: its path within that source.

    Raises:
        OvertopError: the table cannot be read.
    """
    return _read(lock).get((name, file))


def verify_or_record(lock: Path, name: str, file: str, path: Path) -> Digest:
    """Hold a file against its row of the lock table, which is added if there is none; for arguments see `locked`.

    Args:
        path: where the file lies.

    Returns:
        The file's digest.

    Raises:
        OvertopError: the file is another one than at its first use; the message names the table and the row.
    """
    digest = Digest.of(path)
    settle(lock, name, file, path, digest)
    return digest


def settle(lock: Path, name: str, file: str, path: Path, digest: Digest) -> None:
    """`verify_or_record` for a file whose digest is already known."""
    row = locked(lock, name, file)
    if row is None:
        with exclusively(lock):
            rows = _read(lock)  # again: another process may have written since
            row = rows.setdefault((name, file), digest)
            if row is digest:
                _write(lock, rows)
    if row != digest:
        raise OvertopError(
            f"{path} has {digest.bytes} bytes, sha256 {digest.sha256}, but {lock}, row {name},{file}, says {row.bytes} "
            f"bytes, sha256 {row.sha256}; remove the file to have it fetched again, or the row if the new file is right"
        )


def _read(lock: Path) -> dict[tuple[str, str], Digest]:
    try:
        with open(lock, newline="", encoding="utf-8") as handle:
            return {
                (row["name"], row["file"]): Digest(int(row["bytes"]), row["sha256"]) for row in csv.DictReader(handle)
            }
    except FileNotFoundError:
        return {}
    except (KeyError, ValueError, TypeError) as error:
        raise OvertopError(
            f"{lock} is not a lock table with the columns {','.join(COLUMNS)}; restore it, or remove it to record anew"
        ) from error


def _write(lock: Path, rows: dict[tuple[str, str], Digest]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([*key, digest.bytes, digest.sha256] for key, digest in sorted(rows.items()))
    write_text(lock, text.getvalue())
