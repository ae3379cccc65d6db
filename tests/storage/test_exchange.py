from overtop.storage import files
from overtop.storage.exchange import exchange_names
from overtop.storage.files import atomic_folder


def make_folder(path, content):
    path.mkdir()
    (path / "file").write_text(content)


def test_folders_exchange_their_names(tmp_path):
    make_folder(tmp_path / "a", "first")
    make_folder(tmp_path / "b", "second")
    assert exchange_names(tmp_path / "a", tmp_path / "b")
    assert [(tmp_path / name / "file").read_text() for name in "ab"] == ["second", "first"]


def test_nothing_is_exchanged_with_a_missing_folder(tmp_path):
    make_folder(tmp_path / "a", "first")
    assert not exchange_names(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "file").read_text() == "first"


def test_folder_is_replaced_where_names_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "exchange_names", lambda *_: False)
    make_folder(tmp_path / "gallery", "old")
    with atomic_folder(tmp_path / "gallery") as folder:
        (folder / "file").write_text("new")
    assert (tmp_path / "gallery" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]
