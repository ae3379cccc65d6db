import os
import subprocess
import sys

import pytest

from overtop.datasets.raw import (
    MARKER,
    FetchContext,
    claim_folder,
    copy_into,
    remove_other_files,
    resolve_source,
    unknown_split_error,
)
from overtop.datasets.source_records import list_files
from overtop.errors import OvertopError
from overtop.storage.files import temporary_path

KILLED = """
import os, sys
from overtop.datasets.raw import raw_file
with raw_file(*sys.argv[1:]) as temporary:
    temporary.touch()
    os._exit(9)
"""
"""A process that ends, without cleaning up, while it writes a file of a raw folder."""


def test_source_is_resolved_or_reported_with_its_key(tmp_path):
    with pytest.raises(OvertopError, match="--config mirror=FOLDER"):
        resolve_source("datasets.x.source", "set", None)
    with pytest.raises(OvertopError, match=r"^datasets\.x\.source: .*set does not exist; correct `mirror`"):
        resolve_source("datasets.x.source", "set", str(tmp_path))
    assert resolve_source("key", str(tmp_path), None) == tmp_path
    assert resolve_source("key", ".", str(tmp_path)) == tmp_path


def test_second_copy_copies_only_changed_files(tmp_path):
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
def test_path_outside_folder_is_rejected(tmp_path, files):
    (tmp_path / "secret").write_text("")
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "b").write_text("")
    with pytest.raises(OvertopError, match="points outside"):
        copy_into(tmp_path / "raw", tmp_path / "from", files)
    assert not (tmp_path / "a").exists()


def test_source_may_contain_symbolic_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_text("a")
    (tmp_path / "from").symlink_to(tmp_path / "elsewhere")
    copy_into(tmp_path / "raw", tmp_path, {"a": "from/a"})
    assert (tmp_path / "raw" / "a").read_text() == "a"


def test_files_of_previous_fetch_are_removed(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("images/a", "images/b", "c"):
        (tmp_path / name).write_text("")
    remove_other_files(tmp_path, ["images/x/../a", "c"])
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a", "c"]


def test_raw_folder_is_new_or_was_made_by_an_earlier_fetch(tmp_path):
    claim_folder(tmp_path / "raw" / "x")
    (tmp_path / "raw" / "x" / "a").write_text("a")
    claim_folder(tmp_path / "raw" / "x")
    (tmp_path / "raw" / "y" / "images").mkdir(parents=True)
    claim_folder(tmp_path / "raw" / "y")


@pytest.mark.parametrize("through", ["folder", "link", "link to its parent"])
def test_own_folder_in_place_of_a_raw_folder_is_refused(tmp_path, through):
    own = tmp_path / "own" / "test"
    (own / "images").mkdir(parents=True)
    (own / "images" / "a").write_text("a")
    raw = tmp_path / "raw" / "test"
    if through == "folder":
        raw = own
    elif through == "link":
        raw.parent.mkdir()
        raw.symlink_to(own)
    else:
        raw.parent.symlink_to(own.parent)
    with pytest.raises(OvertopError, match=f"{raw} was not made by fetching .*a.*; move it elsewhere"):
        claim_folder(raw)
    assert [path.name for path in own.rglob("*") if path.is_file()] == ["a"]


def test_broken_link_in_place_of_a_raw_folder_is_refused(tmp_path):
    (tmp_path / "raw").symlink_to(tmp_path / "gone")
    with pytest.raises(OvertopError, match="raw was not made by fetching .a broken link"):
        claim_folder(tmp_path / "raw")


def test_links_in_a_raw_folder_are_not_followed(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "b").write_text("b")
    raw = tmp_path / "raw"
    claim_folder(raw)
    (raw / "folder").symlink_to(tmp_path / "own")
    (raw / "file").symlink_to(tmp_path / "own" / "b")
    remove_other_files(raw, [])
    assert (tmp_path / "own" / "b").read_text() == "b"
    assert (raw / MARKER).is_file()


def test_unknown_split_error_lists_splits():
    assert (
        str(unknown_split_error("dev", "x.json", {"val", "test"})) == "x.json has no split 'dev'; its splits: test, val"
    )


def test_unknown_source_is_reported_with_suggestion(tmp_path):
    with pytest.raises(OvertopError, match=r"`sources` has no 'coc'.*'coco'"):
        FetchContext(None, 0, tmp_path, {"coco": None}).fetch_files("coc")


def test_file_that_a_killed_process_left_is_removed_also_where_nothing_is_to_be_copied(tmp_path):
    raw, folder = tmp_path / "raw", tmp_path / "folder"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.jpg").write_text("a")
    files = {"images/a.jpg": "images/a.jpg"}
    copy_into(raw, folder, files)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KILLED, raw, "images/a.jpg"], env=environment, check=False)
    assert len(list((raw / "images").iterdir())) == 2
    copy_into(raw, folder, files)
    remove_other_files(raw, files)
    assert [path.name for path in (raw / "images").iterdir()] == ["a.jpg"]


def test_files_that_another_process_writes_are_not_removed(tmp_path):
    with temporary_path(tmp_path / "a.jpg") as temporary:
        temporary.touch()
        (tmp_path / "old.jpg").touch()
        remove_other_files(tmp_path, ["b.jpg"])
        assert [path.name for path in tmp_path.iterdir()] == [temporary.name]
        assert list_files(tmp_path) == []
