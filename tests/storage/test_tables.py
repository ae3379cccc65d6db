import sys

import pandas as pd
import pyarrow.parquet as pq

from overtop.storage.tables import copy_to_arrow, open_parquet, write_table


def test_memory_that_threads_of_arrow_read_is_none_of_python():
    content = bytes(range(256))
    references = sys.getrefcount(content)
    buffer = copy_to_arrow(content)
    assert sys.getrefcount(content) == references
    assert buffer.to_pybytes() == content


def test_parquet_file_is_opened_from_such_memory(tmp_path, monkeypatch):
    write_table(tmp_path / "x.parquet", pd.DataFrame({"a": [1, 2]}))
    copies = []
    monkeypatch.setattr(
        "overtop.storage.tables.copy_to_arrow", lambda content: copies.append(copy_to_arrow(content)) or copies[0]
    )
    file = open_parquet(tmp_path / "x.parquet")
    assert isinstance(file, pq.ParquetFile)
    assert file.read().to_pydict() == {"a": [1, 2]}
    assert len(copies) == 1
