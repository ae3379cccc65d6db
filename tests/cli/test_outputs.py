import os

import pytest

from overtop.cli.outputs import check_output, check_output_folder
from overtop.errors import OvertopError


def test_file_in_an_existing_folder_is_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_output(tmp_path / "a.csv", (".csv",))
    check_output(tmp_path.joinpath("a.csv").relative_to(tmp_path), (".csv",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.txt", r"a.txt: the name must end in .parquet or .csv"),
        ("a", "must end in"),
        ("none/a.csv", "none does not exist; create it"),
        ("folder.csv", "this is a folder; name a file"),
    ],
)
def test_output_that_cannot_be_written_is_rejected(tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OvertopError, match=message):
        check_output(tmp_path / name, (".parquet", ".csv"))


def test_output_that_would_replace_an_input_is_rejected(tmp_path):
    queries = tmp_path / "queries.csv"
    queries.write_text("text\na\n")
    with pytest.raises(OvertopError, match="is an input of the command"):
        check_output(tmp_path / "." / "queries.csv", (".csv",), [None, queries])
    check_output(tmp_path / "other.csv", (".csv",), [queries])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_folder_without_write_permission_is_rejected(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OvertopError, match="cannot be written to"):
        check_output(tmp_path / "locked" / "a.csv", (".csv",))


def test_folder_on_which_access_is_denied_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OvertopError, match="cannot be written to"):
        check_output(tmp_path / "a.csv", (".csv",))


def test_new_empty_or_earlier_gallery_folder_is_accepted(tmp_path):
    check_output_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    check_output_folder(tmp_path / "empty")
    (tmp_path / "empty" / "gallery.json").write_text("{}")
    check_output_folder(tmp_path / "empty")


def test_folder_with_other_content_or_file_is_rejected(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OvertopError, match="has other content"):
        check_output_folder(tmp_path)
    with pytest.raises(OvertopError, match="this is a file"):
        check_output_folder(tmp_path / "file")
    with pytest.raises(OvertopError, match="does not exist; create it"):
        check_output_folder(tmp_path / "a" / "b")
