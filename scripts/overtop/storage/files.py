"""Files that appear whole or not at all."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from overtop.errors import OvertopError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed to `path`, else removed.

    The suffix is kept, because writers choose their format by it.

    Raises:
        OvertopError: the disk (or quota) is full; `path` is left as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # One name for each target: what a killed job left behind is overwritten by the next, not kept for ever.
    temporary = target.with_name(f".{target.stem}.tmp{target.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, target)
    except (OSError, RuntimeError) as error:  # HDF5 reports a full disk as a RuntimeError when it closes a file
        if any(os.strerror(code) in str(error) for code in _NO_SPACE):
            raise OvertopError(
                f"{target}: no space left to write it; free some and run the same command again, "
                "nothing was half-written"
            ) from error
        raise
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_table(path: str | os.PathLike[str], frame: pd.DataFrame, metadata: dict[str, str] | None = None) -> None:
    """Write `frame` as parquet or CSV (by the suffix), atomically, without an index.

    Args:
        metadata: key-value provenance kept in a parquet file's schema; not available for CSV.
    """
    with atomic_path(path) as temporary:
        if temporary.suffix == ".csv":
            frame.to_csv(temporary, index=False, lineterminator="\n")
        else:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            kept = {**(table.schema.metadata or {}), **{k.encode(): v.encode() for k, v in (metadata or {}).items()}}
            pq.write_table(table.replace_schema_metadata(kept), temporary)


def table_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The provenance that `write_table` kept in a parquet file."""
    metadata = pq.read_schema(path).metadata or {}
    return {k.decode(): v.decode() for k, v in metadata.items() if k not in (b"pandas", b"ARROW:schema")}


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def in_mirror(path: str, mirror: str | None, said: str) -> Path:
    """The place that `path` names: absolute, or inside the mirror. Whether it exists is the caller's question.

    Args:
        said: what names it, the beginning of the error's sentence.

    Raises:
        OvertopError: it is relative, and there is no mirror.
    """
    place = Path(path).expanduser()
    if place.is_absolute():
        return place
    if mirror is None:
        raise OvertopError(
            f"{said} inside a mirror, and no mirror is set; name the folder that holds it: --config mirror=FOLDER"
        )
    return Path(mirror).expanduser() / place


def inside(root: str | os.PathLike[str], relative: str) -> Path:
    """`root / relative`, refused when it leaves `root` (an absolute path, `..`, a link out).

    Raises:
        OvertopError: the path points outside `root`.
    """
    base = Path(root).resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise OvertopError(f"{relative!r} points outside {root}; give a path inside that folder")
    return Path(root) / relative
