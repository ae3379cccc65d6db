"""Tables as parquet and CSV files, with a digest of their content.

A parquet file has the digest in its metadata. That of `NAME.csv` is in the hidden file `.NAME.csv.sha256` beside it,
which `sha256sum -c` reads.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from overtop.errors import OvertopError
from overtop.storage.digests import DIGEST_KEY, REBUILD, UNSET, differs_error, read_bytes, read_checked, store_digest
from overtop.storage.files import atomic_path, sha256, sync_and_rename, temporary_path


def write_table(path: str | os.PathLike[str], frame: pd.DataFrame, metadata: Mapping[str, str] | None = None) -> None:
    """Write `frame` without its index, atomically and with a digest.

    Args:
        path: the file; any suffix other than `.csv` means parquet.
        frame: the table.
        metadata: key-value provenance that a parquet file stores in its schema; ignored for CSV.
    """
    if Path(path).suffix == ".csv":
        with atomic_csv(path) as temporary:
            _format_csv(frame, temporary)
    else:
        write_parts(path, [frame], metadata)


def write_parts(
    path: str | os.PathLike[str], frames: Iterable[pd.DataFrame], metadata: Mapping[str, str] | None = None
) -> None:
    """Write frames with the same columns as one parquet file, one below the other, as `write_table` would.

    Only one of them is in memory at a time, if they are made one after the other.
    """
    tables = (pa.Table.from_pandas(frame, preserve_index=False) for frame in frames)
    first = next(tables)
    schema = first.schema.with_metadata({**(first.schema.metadata or {}), **(metadata or {})})
    with atomic_parquet(path, schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table.replace_schema_metadata(schema.metadata))


def write_arrow(path: str | os.PathLike[str], table: pa.Table) -> None:
    """Write an Arrow table, with the metadata of its schema, as parquet, atomically and with a digest."""
    with atomic_parquet(path, table.schema) as writer:
        writer.write_table(table)


@contextmanager
def atomic_parquet(path: str | os.PathLike[str], schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Yield a writer of a parquet file, which appears with its digest when it is complete."""
    with atomic_path(path) as temporary:
        with pq.ParquetWriter(temporary, schema) as writer:
            yield writer
            writer.add_key_value_metadata({DIGEST_KEY: UNSET})
        store_digest(temporary, "parquet")


def write_plain_table(path: str | os.PathLike[str], frame: pd.DataFrame) -> None:
    """Write `frame` without its index as `.csv` or `.parquet`, atomically and without a digest: for people."""
    with atomic_path(path) as temporary:
        if temporary.suffix == ".csv":
            _format_csv(frame, temporary)
        else:
            frame.to_parquet(temporary, index=False)


def read_table(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None, *, text_as_is: bool = False
) -> pd.DataFrame:
    """Read what `write_table` wrote.

    Args:
        path: the file; any suffix other than `.csv` means parquet.
        columns: those to return; by default all.
        text_as_is: whether an empty cell of a CSV file is an empty text, not a missing value.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has no digest.
    """
    if Path(path).suffix == ".csv":
        content = BytesIO(_read_checked_csv(Path(path)))
        return pd.read_csv(content, usecols=columns, keep_default_na=not text_as_is)
    return open_parquet(path).read(columns).to_pandas()


def read_long_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a parquet file of millions of rows in less memory than `read_table`.

    Args:
        path: the file.

    Returns:
        The table with categories in place of texts; its columns may be read-only.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has no digest.
    """
    content = _read_parquet(path, REBUILD)
    fields = pq.read_schema(content)
    texts = [field.name for field in fields if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    table = pq.ParquetFile(content, read_dictionary=texts).read()
    # Each column is released when it has been converted.
    return table.to_pandas(split_blocks=True, self_destruct=True)


def open_parquet(path: str | os.PathLike[str], fix: str = REBUILD) -> pq.ParquetFile:
    """Open a parquet file that `write_table` or `write_arrow` wrote, after its content was checked.

    Args:
        path: the file.
        fix: what to do about a damaged file.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has no digest.
    """
    return pq.ParquetFile(_read_parquet(path, fix))


def _read_parquet(path: str | os.PathLike[str], fix: str) -> pa.BufferReader:
    return pa.BufferReader(copy_to_arrow(read_checked(path, "parquet", fix)))


def copy_to_arrow(content: bytes) -> pa.Buffer:
    """Return a copy of bytes in memory of Arrow's own.

    Threads of Arrow release the memory that they read, some after the last statement of a program. Memory of Python can
    then not be released any more, and the process is aborted ("terminate called without an active exception").
    """
    buffer = pa.allocate_buffer(len(content))
    memoryview(buffer).cast("B")[:] = content
    return buffer


def read_table_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The key-value provenance of a parquet file, such as `write_table` stores.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has no digest.
    """
    metadata = open_parquet(path).metadata.metadata or {}
    others = ("pandas", "ARROW:schema", DIGEST_KEY)
    return {key.decode(): value.decode() for key, value in metadata.items() if key.decode() not in others}


@contextmanager
def atomic_csv(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path for a CSV file; on success, rename it to `path` and write its digest beside it."""
    target, digest = Path(path), digest_path(path)
    with temporary_path(target) as temporary, temporary_path(digest) as temporary_digest:
        yield temporary
        temporary_digest.write_text(f"{sha256(temporary)}  {target.name}\n", encoding="utf-8")
        with _only_writer(target.parent):
            sync_and_rename(temporary_digest, digest)
            sync_and_rename(temporary, target)


def digest_path(path: str | os.PathLike[str]) -> Path:
    """The file with the digest of a CSV file."""
    return Path(path).with_name(f".{Path(path).name}.sha256")


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold a lock, so that two files are renamed together; without one on file systems that have no locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _format_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, lineterminator="\n")


def _read_checked_csv(path: Path) -> bytes:
    content = read_bytes(path)
    try:
        stored = digest_path(path).read_bytes()
    except FileNotFoundError:
        raise OvertopError(f"{path}: its digest, {digest_path(path).name}, is missing; {REBUILD}") from None
    if stored != f"{hashlib.sha256(content).hexdigest()}  {path.name}\n".encode():
        raise differs_error(path)
    return content
