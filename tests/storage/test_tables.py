import sys
import weakref

import pandas as pd
import pyarrow.parquet as pq
import pytest

from overtop.storage.tables import (
    copy_to_arrow,
    open_parquet,
    read_long_table,
    read_table,
    read_table_metadata,
    write_parts,
    write_table,
)


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


def test_parts_are_one_table_with_the_types_and_metadata_of_a_whole_one(tmp_path):
    frame = pd.DataFrame(
        {
            "query_id": ["a", "b", "c", "d"],
            "rank": [1.0, float("inf"), 2.0, 1.0],
            "hit_extended": pd.array([pd.NA, pd.NA, True, False], dtype="boolean"),
        }
    )
    write_table(tmp_path / "whole.parquet", frame, {"provenance": "x"})
    write_parts(tmp_path / "parts.parquet", (frame[frame["rank"] == 1], frame[frame["rank"] > 1]), {"provenance": "x"})
    parts = read_table(tmp_path / "parts.parquet").set_index("query_id").loc[["a", "b", "c", "d"]].reset_index()
    pd.testing.assert_frame_equal(parts, read_table(tmp_path / "whole.parquet"))
    assert read_table_metadata(tmp_path / "parts.parquet") == {"provenance": "x"}
    schemas = [open_parquet(tmp_path / f"{name}.parquet").schema_arrow for name in ("whole", "parts")]
    assert schemas[0].equals(schemas[1])


def test_long_table_has_categories_in_place_of_texts(tmp_path):
    frame = pd.DataFrame({"query_id": ["b", "a", "b"], "rank": [1.0, float("nan"), 2.0], "hit": [True, False, True]})
    write_parts(tmp_path / "parts.parquet", (frame[:2], frame[2:]))
    long = read_long_table(tmp_path / "parts.parquet")
    assert long["query_id"].dtype == "category"
    pd.testing.assert_frame_equal(long.astype({"query_id": "str"}), read_table(tmp_path / "parts.parquet"))


def test_parts_are_made_when_those_before_them_are_written(tmp_path):
    made = []

    def frames():
        for number in range(3):
            made.append(weakref.ref(frame := pd.DataFrame({"a": [number]})))
            yield frame
            del frame
            assert sum(reference() is not None for reference in made) <= 1

    write_parts(tmp_path / "x.parquet", frames())
    assert read_table(tmp_path / "x.parquet")["a"].tolist() == [0, 1, 2]


def test_failure_between_parts_leaves_no_file(tmp_path):
    def frames():
        yield pd.DataFrame({"a": [1]})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_parts(tmp_path / "x.parquet", frames())
    assert list(tmp_path.iterdir()) == []
