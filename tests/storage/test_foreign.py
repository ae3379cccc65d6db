import gzip
import json

import pytest

from overtop.errors import OvertopError
from overtop.storage import foreign
from overtop.storage.foreign import READ_ERRORS, decompress, describe, read_bytes, read_text, report_damage


@pytest.mark.parametrize("error", [kind for kind in READ_ERRORS if kind is not OSError])
def test_error_of_a_reader_becomes_one_named_line(error):
    with (
        pytest.raises(OvertopError, match=r"^a\.bin: cannot be read \(.*\); get it again$"),
        report_damage("a.bin", "get it again"),
    ):
        raise error("one\nline")


def test_named_error_and_error_of_another_library_pass_unless_listed():
    with pytest.raises(OvertopError, match="^named$"), report_damage("a", "b"):
        raise OvertopError("named")
    with pytest.raises(StopAsyncIteration), report_damage("a", "b"):
        raise StopAsyncIteration
    with (
        pytest.raises(OvertopError, match=r"a: cannot be read \(StopAsyncIteration\); b"),
        report_damage("a", "b", also=StopAsyncIteration),
    ):
        raise StopAsyncIteration


def test_description_is_one_line_of_bounded_length():
    assert describe(ValueError("a\n  b")) == "a b"
    assert describe(KeyError("x")) == "KeyError: 'x'"
    assert describe(MemoryError()) == "MemoryError"
    assert len(describe(ValueError("x" * 10_000))) < 300


def test_content_beyond_the_bound_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "MAX_TEXT_BYTES", 100)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100)
    assert read_bytes(path, 100) == b"x" * 100
    with pytest.raises(OvertopError, match=r"a\.txt: cannot be read \(it has more than 99 bytes\)"):
        read_bytes(path, 99)
    with pytest.raises(OvertopError, match=r"a\.gz: cannot be decompressed \(it has more than 100 bytes\)"):
        decompress("a.gz", gzip.compress(bytes(101)))


def test_text_is_read_without_mark_and_decompressed(tmp_path):
    for name, content in (("a.txt", "\ufeffä".encode()), ("a.gz", gzip.compress("ä".encode()))):
        (tmp_path / name).write_bytes(content)
        assert read_text(tmp_path / name) == "ä"
    (tmp_path / "b.txt").write_bytes(b"\xff")
    with pytest.raises(OvertopError, match=r"b\.txt: is not UTF-8 text"):
        read_text(tmp_path / "b.txt")
    with pytest.raises(OvertopError, match=r"c\.txt: cannot be read \(.*No such file"):
        read_text(tmp_path / "c.txt")


def test_deeply_nested_json_is_named():
    with pytest.raises(OvertopError, match="recursion"), report_damage("a.json", "b"):
        json.loads("[" * 100_000)
