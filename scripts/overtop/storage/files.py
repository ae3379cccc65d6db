"""Atomic writing of text, JSON and tables, file digests, and paths that stay inside a folder."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from overtop.errors import OvertopError

_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` on success, remove it on failure.

    The temporary file has the suffix of `path`, because some writers choose the format by it.

    Raises:
        OvertopError: the disk or quota is full; `path` is unchanged.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # One temporary name per target: the next run overwrites the leftover of a killed one.
    temporary = target.with_name(f".{target.stem}.tmp{target.suffix}")
    try:
        with report_disk_full(target):
            yield temporary
            sync_and_rename(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def sync_and_rename(temporary: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a complete file to its final name after its bytes are on the disk."""
    with open(temporary, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, target)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder in the same place; rename it to `path` on success, remove it on failure.

    A folder that exists at `path` is replaced.

    Raises:
        OvertopError: the disk or quota is full; `path` is unchanged.
    """
    target = Path(path)
    temporary, former = (target.with_name(f".{target.name}.{suffix}") for suffix in ("tmp", "former"))
    for leftover in (temporary, former):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with report_disk_full(target):
            yield temporary
            for file in temporary.iterdir():
                sync_and_rename(file, file)
        if target.exists():
            os.replace(target, former)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


@contextmanager
def report_disk_full(path: str | os.PathLike[str]) -> Iterator[None]:
    """Convert the error of a full disk or quota while `path` is written into an `OvertopError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 reports a full disk as a RuntimeError when it closes a file
        if any(os.strerror(code) in str(error) for code in _DISK_FULL_ERRORS):
            raise OvertopError(
                f"{path}: no space left on the disk to write it; free some space and run the same command again, "
                "no incomplete file remains under this name"
            ) from error
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_table(path: str | os.PathLike[str], frame: pd.DataFrame, metadata: dict[str, str] | None = None) -> None:
    """Write `frame` without its index as parquet or CSV, by the suffix of `path`, atomically.

    Args:
        path: the file; any suffix other than `.csv` means parquet.
        frame: the table.
        metadata: key-value provenance that a parquet file stores in its schema; ignored for CSV.
    """
    with atomic_path(path) as temporary:
        if temporary.suffix == ".csv":
            frame.to_csv(temporary, index=False, lineterminator="\n")
        else:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            provenance = {key.encode(): value.encode() for key, value in (metadata or {}).items()}
            pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **provenance}), temporary)


def read_table_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The key-value provenance of a parquet file, such as `write_table` stores."""
    metadata = pq.read_metadata(path).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items() if key not in (b"pandas", b"ARROW:schema")}


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of the content of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def resolve_inside(root: str | os.PathLike[str], relative: str) -> Path:
    """`root / relative`, after checking that it does not leave `root` (absolute path, `..`, symbolic link).

    Raises:
        OvertopError: the path points outside `root`.
    """
    base = Path(root).resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise OvertopError(f"{relative!r} points outside {root}; give a path inside that folder")
    return Path(root) / relative
