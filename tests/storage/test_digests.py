"""Every kind of file with a digest: a round trip, equal bytes, and damage of every kind."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from overtop.errors import OvertopError
from overtop.storage.arrays import read_arrays, write_arrays
from overtop.storage.json_files import read_json, write_json, write_plain_json
from overtop.storage.tables import digest_path, read_table, read_table_metadata, write_plain_table, write_table
from overtop.storage.tensors import read_facts, read_tensors, write_tensors

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "content_sha256", ""], "c": [0.1, 0.2, 0.3]})
VALUE = {"b": {"content_sha256": "0" * 64}, "a": [1.5, None]}
ARRAYS = {"x/values": np.arange(6.0).reshape(2, 3), "content_sha256": np.ones(2)}
TENSORS = {"w": torch.arange(6.0).reshape(2, 3).T, "content_sha256": torch.ones(2)}


def write(path: Path, variant: int = 0) -> None:
    """Write a file of the kind that its suffix names."""
    if path.suffix == ".json":
        write_json(path, {**VALUE, "variant": variant})
    elif path.suffix == ".h5":
        write_arrays(path, "test/1", ARRAYS, {**VALUE, "variant": variant})
    elif path.suffix == ".safetensors":
        write_tensors(path, "test/1", TENSORS, {**VALUE, "variant": variant})
    else:
        write_table(path, FRAME.assign(variant=variant), {"provenance": json.dumps(VALUE)})


def read(path: Path) -> object:
    """Read such a file; results are equal if and only if their texts are."""
    if path.suffix == ".json":
        return read_json(path)
    if path.suffix == ".h5":
        arrays, attributes = read_arrays(path, "test/1")
        return {key: value.tolist() for key, value in arrays.items()}, attributes
    if path.suffix == ".safetensors":
        tensors, facts = read_tensors(path, "test/1")
        return {key: value.tolist() for key, value in tensors.items()}, facts
    return read_table(path).to_csv(), path.suffix == ".parquet" and read_table_metadata(path)


@pytest.fixture(params=["f.json", "f.csv", "f.parquet", "f.safetensors", "f.h5"])
def path(request, tmp_path):
    path = tmp_path / request.param
    write(path)
    return path


def test_same_content_gives_same_bytes(path):
    content = path.read_bytes()
    write(path)
    assert path.read_bytes() == content
    write(path, variant=1)
    assert path.read_bytes() != content


def test_flipped_bit_is_an_error_that_names_the_file(path):
    content, generator = path.read_bytes(), random.Random(0)
    for position in generator.sample(range(len(content)), min(len(content), 300)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(OvertopError, match=rf"^{path}: .* delete it and run the same command again$"):
            read(path)


def test_truncated_file_is_an_error_that_names_it(path):
    content = path.read_bytes()
    for length in random.Random(0).sample(range(len(content)), min(len(content), 200)):
        path.write_bytes(content[:length])
        with pytest.raises(OvertopError, match=rf"^{path}: .* delete it and run the same command again$"):
            read(path)


def test_appended_byte_is_an_error(path):
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(OvertopError, match=rf"^{path}: "):
        read(path)


def test_missing_file_is_an_error(path):
    path.unlink()
    with pytest.raises(OvertopError, match=rf"^{path}: no such file; run the rule that makes it$"):
        read(path)


def test_folder_in_place_of_a_file_is_an_error(path):
    path.unlink()
    path.mkdir()
    with pytest.raises(OvertopError, match=rf"^{path}: cannot be read"):
        read(path)


def test_content_of_another_file_is_an_error_unless_it_is_whole(path):
    other = path.with_name(f"other{path.suffix}")
    write(other, variant=1)
    path.write_bytes(other.read_bytes())
    if path.suffix == ".csv":
        with pytest.raises(OvertopError, match="content differs from its digest"):
            read(path)
    else:
        assert read(path) == read(other)


def test_json_after_round_trip_is_equal(tmp_path):
    write(tmp_path / "f.json")
    assert read_json(tmp_path / "f.json") == {**VALUE, "variant": 0}
    text = (tmp_path / "f.json").read_text()
    assert list(json.loads(text)) == ["a", "b", "content_sha256", "variant"]


def test_json_of_another_program_is_an_error_with_the_given_fix(tmp_path):
    write_plain_json(tmp_path / "f.json", VALUE)
    with pytest.raises(OvertopError, match="has no digest, .*; fit it again$"):
        read_json(tmp_path / "f.json", "fit it again")


def test_digest_can_be_checked_without_overtop(path):
    if path.suffix == ".csv":
        command = ["sha256sum", "--check", "--quiet", digest_path(path).name]
        assert subprocess.run(command, cwd=path.parent, check=False).returncode == 0
        return
    content = path.read_bytes()
    digests = set(re.findall(rb"content_sha256[^0-9a-f]+([0-9a-f]{64})", content)) - {b"0" * 64}
    (digest,) = digests
    assert hashlib.sha256(content.replace(digest, b"0" * 64)).hexdigest().encode() == digest


def test_tables_and_metadata_after_round_trip_are_equal(tmp_path):
    write_table(tmp_path / "t.parquet", FRAME, {"posterior": "ensemble"})
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), FRAME)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), FRAME)
    assert read_table(tmp_path / "t.parquet", ["c"]).columns.tolist() == ["c"]
    assert read_table_metadata(tmp_path / "t.parquet") == {"posterior": "ensemble"}


def test_csv_after_round_trip_is_equal(tmp_path):
    write_table(tmp_path / "t.csv", FRAME[["a", "b"]])
    assert (tmp_path / "t.csv").read_bytes() == b"a,b\n1,x\n2,content_sha256\n3,\n"
    assert read_table(tmp_path / "t.csv")["b"].isna().tolist() == [False, False, True]
    assert read_table(tmp_path / "t.csv", text_as_is=True)["b"].tolist() == ["x", "content_sha256", ""]
    assert read_table(tmp_path / "t.csv", ["a"]).columns.tolist() == ["a"]


def test_csv_without_its_digest_is_an_error(tmp_path):
    write_table(tmp_path / "t.csv", FRAME)
    (tmp_path / ".t.csv.sha256").unlink()
    with pytest.raises(OvertopError, match=r"t.csv: its digest, \.t\.csv\.sha256, is missing; delete it and run"):
        read_table(tmp_path / "t.csv")


def test_table_for_people_has_no_digest(tmp_path):
    write_plain_table(tmp_path / "t.csv", FRAME)
    write_plain_table(tmp_path / "t.parquet", FRAME)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), FRAME)
    with pytest.raises(OvertopError, match="has no digest"):
        read_table(tmp_path / "t.parquet")


def test_tensors_and_facts_after_round_trip_are_equal(tmp_path):
    write(tmp_path / "f.safetensors")
    tensors, facts = read_tensors(tmp_path / "f.safetensors", "test/1")
    assert facts == {**VALUE, "variant": 0} == read_facts(tmp_path / "f.safetensors", "test/1")
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[key], TENSORS[key]) for key in TENSORS)


def test_tensors_of_another_schema_are_an_error(tmp_path):
    write(tmp_path / "f.safetensors")
    with pytest.raises(OvertopError, match="has schema 'test/1', expected 'other/1'; delete it"):
        read_tensors(tmp_path / "f.safetensors", "other/1")


TWO_WRITERS = """
import sys
import pandas as pd
from overtop.storage.json_files import write_json
from overtop.storage.tables import write_table
path, variant = sys.argv[1], int(sys.argv[2])
for _ in range(25):
    if path.endswith(".json"):
        write_json(path, {"variant": variant, "rows": [variant] * 2000})
    else:
        write_table(path, pd.DataFrame({"variant": [variant] * 2000}))
"""


@pytest.mark.parametrize("name", ["f.json", "f.csv", "f.parquet"])
def test_two_processes_that_write_one_target_leave_the_whole_file_of_one(name, tmp_path):
    path = tmp_path / name
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", TWO_WRITERS, path, str(variant)], env=environment)
        for variant in (1, 2, 3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    rows = read_json(path)["rows"] if name == "f.json" else read_table(path)["variant"].tolist()
    assert len(rows) == 2000
    assert len(set(rows)) == 1
    assert {file.name for file in tmp_path.iterdir()} <= {name, digest_path(path).name}
