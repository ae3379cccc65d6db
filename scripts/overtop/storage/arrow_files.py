"""Record batches of Arrow files and parquet files that others made."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from overtop.storage.bounds import MAX_TABLE_ROWS, largest_array
from overtop.storage.foreign import report_damage

_WHAT, _FIX = "cannot be read as Arrow or parquet data", "save the data set again, or copy the file again"

_BATCH_ROWS = 64
"""Rows of a batch of a parquet file: encoded images have up to some megabytes each."""


def batch_columns(path: Path) -> list[str]:
    """The names of the columns of a file.

    Args:
        path: parquet (`.parquet`), or an Arrow stream (any other file).

    Raises:
        OvertopError: the file is missing, damaged or something else.
    """
    with report_damage(path, _FIX, _WHAT):
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                return list(file.schema_arrow.names)
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:
            return list(reader.schema.names)


def iterate_batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a file, batch by batch; each is valid until the next one is requested.

    Arrow files are memory-mapped. Every batch is checked, so that no value reaches beyond the file.

    Args:
        path: as for `batch_columns`.
        columns: their names.

    Raises:
        OvertopError: the file is damaged, or has more rows or bytes than the bounds.
    """
    with report_damage(path, _FIX, _WHAT):
        bound, rows = largest_array(path.stat().st_size), 0
        for batch in (_read_parquet if path.suffix == ".parquet" else _read_stream)(path, columns):
            batch.validate(full=True)
            rows += batch.num_rows
            if batch.nbytes > bound or rows > MAX_TABLE_ROWS:
                raise ValueError(f"it has a batch of more than {bound:,} bytes, or more than {MAX_TABLE_ROWS:,} rows")
            yield batch


def _read_stream(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as file:
        with pa.ipc.open_stream(file) as reader:
            places = [reader.schema.get_field_index(name) for name in columns]
        file.seek(0)
        options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=places)
        with pa.ipc.open_stream(file, options=options) as reader:
            yield from reader


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        yield from file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)
