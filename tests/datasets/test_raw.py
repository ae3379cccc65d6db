import json

import pytest

from overtop.datasets.raw import Context, copy_into, keep_only, locate, no_split, record
from overtop.errors import OvertopError


def test_without_a_mirror_the_error_says_which_key_to_set(tmp_path):
    with pytest.raises(OvertopError, match="--config mirror=FOLDER"):
        locate("x", "set", None)
    with pytest.raises(OvertopError, match=r"datasets\.x\.source"):
        locate("x", "set", str(tmp_path))
    assert locate("x", str(tmp_path), None) == locate("x", ".", str(tmp_path)) == tmp_path


def test_a_second_copy_copies_only_what_changed(tmp_path):
    (tmp_path / "from").mkdir()
    for name in "ab":
        (tmp_path / "from" / name).write_text(name)
    raw = tmp_path / "raw"
    copy_into(raw, tmp_path / "from", {"x/a": "a", "b": "b"})
    before = {path: (raw / path).stat().st_ino for path in ("x/a", "b")}
    (tmp_path / "from" / "b").write_text("other")
    copy_into(raw, tmp_path / "from", {"x/a": "a", "b": "b"})
    assert (raw / "x/a").stat().st_ino == before["x/a"]
    assert (raw / "b").read_text() == "other"


@pytest.mark.parametrize("files", [{"a": "../secret"}, {"../a": "b"}, {"a": "/etc/hostname"}])
def test_no_path_leaves_its_folder(tmp_path, files):
    (tmp_path / "secret").write_text("")
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "b").write_text("")
    with pytest.raises(OvertopError, match="points outside"):
        copy_into(tmp_path / "raw", tmp_path / "from", files)
    assert not (tmp_path / "a").exists()


def test_a_source_may_be_made_of_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_text("a")
    (tmp_path / "from").symlink_to(tmp_path / "elsewhere")
    copy_into(tmp_path / "raw", tmp_path, {"a": "from/a"})
    assert (tmp_path / "raw" / "a").read_text() == "a"


def test_what_an_earlier_fetch_left_goes(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("images/a", "images/b", "c"):
        (tmp_path / name).write_text("")
    keep_only(tmp_path, ["images/x/../a", "c"])
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a", "c"]


def test_the_record_tells_size_and_digest(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a").write_bytes(b"abc")
    record(tmp_path)
    record(tmp_path)  # the record is no file of the split
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json.loads((tmp_path / "source.json").read_text()) == {"images/a": {"bytes": 3, "sha256": digest}}


def test_a_split_that_is_not_there_is_told_with_those_that_are():
    assert str(no_split("dev", "here", {"val", "test"})) == "here has no split 'dev'; its splits: test, val"


def test_an_unknown_source_is_named(tmp_path):
    with pytest.raises(OvertopError, match=r"`sources` has no 'coc'.*'coco'"):
        Context(None, 0, tmp_path, {"coco": None}).bring("coc")
