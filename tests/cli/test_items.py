import numpy as np
import pytest
from PIL import Image

from overtop.cli.items import read_items
from overtop.errors import OvertopError


@pytest.fixture
def photos(tmp_path):
    """A folder with three images, one of them in a folder of its own, and files that are none."""
    folder = tmp_path / "photos"
    for name in ("b.JPG", "a.png", "trip/c.webp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name, format="PNG")
    for name in (".hidden.png", "notes.txt", ".cache/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def save(path, *shape):
    np.save(path, np.ones(shape, dtype=np.float32))
    return path


def test_images_of_a_folder_are_sorted_without_hidden_ones(photos):
    items = read_items("--queries", photos)
    assert (items.kind, items.needs_encoder) == ("images", True)
    assert list(items.ids) == ["a.png", "b.JPG", "trip/c.webp"]
    assert items.contents[2] == str(photos / "trip/c.webp")


def test_kind_follows_from_suffix_and_content(tmp_path, photos):
    assert read_items("--gallery", save(tmp_path / "g.npy", 3, 2)).kind == "embeddings"
    parts = tmp_path / "parts"
    parts.mkdir()
    save(parts / "part_0.npy", 2, 2)
    save(parts / "part_1.npy", 1, 2)
    items = read_items("--gallery", parts)
    assert (items.kind, list(items.ids)) == ("embeddings", ["0", "1", "2"])
    (photos / "gallery.json").write_text("{}")
    assert read_items("--gallery", photos).kind == "prepared"
    (tmp_path / "t.txt").write_text("a cat\na dog\n")
    assert read_items("--queries", tmp_path / "t.txt").kind == "texts"


def test_file_with_images_and_texts_is_read_by_modality(tmp_path):
    np.savez(tmp_path / "both.npz", image=np.ones((3, 2), "f4"), text=np.ones((5, 2), "f4"))
    assert len(read_items("--queries", tmp_path / "both.npz", "text").ids) == 5
    assert len(read_items("--gallery", tmp_path / "both.npz", "image").ids) == 3
    with pytest.raises(OvertopError, match="--direction t2i or --direction i2t"):
        read_items("--gallery", tmp_path / "both.npz")


def test_selected_embeddings_are_those_of_their_rows(tmp_path):
    embedding = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    np.save(tmp_path / "q.npy", embedding)
    items = read_items("--queries", tmp_path / "q.npy").select(np.array([1, 4]))
    assert list(items.ids) == ["1", "4"]
    np.testing.assert_array_equal(items.source.read(0, 0, 2), embedding[[1, 4]])


def test_selected_texts_keep_their_ids(tmp_path):
    (tmp_path / "t.txt").write_text("a\nb\nc\n")
    items = read_items("--queries", tmp_path / "t.txt").select(np.array([0, 2]))
    assert (list(items.ids), list(items.contents)) == (["0", "2"], ["a", "c"])


def test_texts_have_the_ids_of_their_table_or_row_numbers(tmp_path):
    (tmp_path / "t.csv").write_text('id,text\nx,"a cat, grey"\n7,a dog\n')
    items = read_items("--queries", tmp_path / "t.csv")
    assert (list(items.ids), list(items.contents)) == (["x", "7"], ["a cat, grey", "a dog"])
    (tmp_path / "t.csv").write_text("query\na cat\n")
    with pytest.raises(OvertopError, match="it needs `text`"):
        read_items("--queries", tmp_path / "t.csv")


def test_path_without_items_is_rejected(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.doc").write_text("")
    for name, message in {
        "none.npy": "--queries .*none.npy: no such file or folder",
        "empty": "has no embeddings and no image",
        "a.doc": "unknown kind of file",
    }.items():
        with pytest.raises(OvertopError, match=message):
            read_items("--queries", tmp_path / name)
