import csv
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from overtop.errors import OvertopError
from overtop.storage import foreign_tables
from overtop.storage.foreign_tables import column_names, read_columns

WORDS = ["NA", "None", "nan", "null", "", "1.0", "007", "a\nb", 'say "x"', " x "]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV", ".parquet"])
def test_words_are_read_as_they_are(tmp_path, suffix):
    path, frame = tmp_path / f"t{suffix}", pd.DataFrame({"a": range(len(WORDS)), "b": WORDS})
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",", quoting=csv.QUOTE_ALL)
    assert column_names(path) == ["a", "b"]
    assert read_columns(path, ["b", "a"]).to_dict("list") == {"b": WORDS, "a": [str(row) for row in range(len(WORDS))]}


def test_floats_are_whole_numbers_if_all_are(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_tables, "_BATCH_ROWS", 2)
    columns = {"a": [1.0, None, 3.0], "b": [1.0, 2.0, 2.5], "c": [1e300, np.inf, 1], "d": np.float16([1, 2, 3])}
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    assert read_columns(tmp_path / "t.parquet", list("abcd")).to_dict("list") == {
        "a": ["1", "", "3"],
        "b": ["1.0", "2.0", "2.5"],
        "c": ["1e+300", "inf", "1.0"],
        "d": ["1", "2", "3"],
    }


def test_texts_of_any_arrow_type_are_read(tmp_path):
    texts = pa.array(["x", None, "x"])
    types = {"a": texts.dictionary_encode(), "b": texts.cast(pa.large_string()), "c": pa.nulls(3)}
    pq.write_table(pa.table(types), tmp_path / "t.parquet")
    expected = {"a": ["x", "", "x"], "b": ["x", "", "x"], "c": ["", "", ""]}
    assert read_columns(tmp_path / "t.parquet", list("abc")).to_dict("list") == expected


@pytest.mark.parametrize(
    "values", [[b"x"], [["x"]], [{"x": 1}], [True], [pd.Timestamp(0)]], ids=["bytes", "list", "object", "bool", "time"]
)
def test_value_that_is_no_text_is_named(tmp_path, values):
    pd.DataFrame({"a": values}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(OvertopError, match=r"t\.parquet: .*column 'a' has values of type .*, not text"):
        read_columns(tmp_path / "t.parquet", ["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,a\n1,2\n", "has 2 columns 'a'; keep one"),
        (b"a,b\n1\n", "line 2: has 1 fields, but there are 2 columns"),
        (b"a,b\n1,2,3\n", "line 2: has 3 fields"),
        (b'a,b\n1,"2\n', "cannot be read as a table"),
        (b"a,b\n1,\xff\n", "cannot be read as a table"),
        (b"", "it is empty"),
        (b"a,b\n1," + b"x" * 200_000, "field larger than field limit"),
    ],
)
def test_mistake_in_csv_is_named(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(OvertopError, match=rf"t\.csv.*{message}"):
        read_columns(tmp_path / "t.csv", ["a"])


def test_table_beyond_a_bound_is_named(tmp_path, monkeypatch):
    frame = pd.DataFrame({"a": ["x" * 10] * 5})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(foreign_tables, "MAX_TABLE_BYTES", 20)
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(OvertopError, match="may have 20|more than 20 bytes"):
            read_columns(tmp_path / name, ["a"])
    monkeypatch.setattr(foreign_tables, "MAX_TABLE_ROWS", 4)
    with pytest.raises(OvertopError, match="it has 5 rows, more than 4"):
        read_columns(tmp_path / "t.parquet", ["a"])


READ_WITH_FLIPPED_BITS = """
import sys
from contextlib import suppress
from pathlib import Path
from overtop.errors import OvertopError
from overtop.storage.foreign_tables import column_names, read_columns
path = Path(sys.argv[1])
content = path.read_bytes()
footer = int.from_bytes(content[-8:-4], "little")
for place in range(len(content) - 8 - footer, len(content)):
    for bit in (0, 3, 6):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        with suppress(OvertopError):
            read_columns(path, column_names(path))
"""
"""A process of its own: what Arrow's metadata raises in some of its methods aborts it."""


def test_damaged_metadata_of_a_parquet_file_does_not_abort_the_process(tmp_path):
    pd.DataFrame({"item": ["a", "b"], "group": ["x", "y"]}).to_parquet(tmp_path / "t.parquet", index=False)
    command = [sys.executable, "-c", READ_WITH_FLIPPED_BITS, str(tmp_path / "t.parquet")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
