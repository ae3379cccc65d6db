import logging

import pytest

from overtop.config.datasets import ImagesDataset
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.errors import OvertopError


def add_files(source_files, names):
    for name in names:
        path = source_files.mirror / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {name}".encode())


def fetch_and_read(source_files, split="all", source="photos"):
    spec = ImagesDataset(kind="images", source=source)
    fetch_split("x", spec, split, source_files.raw(split), source_files.context())
    return read_raw_split("x", spec, source_files.raw(split), source_files.data, split)


def test_images_of_all_folders_are_sorted_by_path(source_files):
    names = ["b.jpg", "a/z.PNG", "a/b/c.webp", "a.tiff"]
    add_files(source_files, names)
    split = fetch_and_read(source_files)
    assert split.image_ids == sorted(names)
    assert (split.captions, split.has_caption.tolist()) == ([], [False] * 4)
    for name, path in zip(split.image_ids, split.image_paths, strict=True):
        assert (source_files.data / path).read_text() == f"content of {name}"


def test_other_files_are_ignored_and_named_in_the_log(source_files, caplog):
    hidden = [".hidden.jpg", ".cache/c.jpg"]
    add_files(source_files, ["a.jpg", "notes.txt", "b/jpg", *hidden])
    with caplog.at_level(logging.INFO):
        assert fetch_and_read(source_files).image_ids == ["a.jpg"]
    assert "ignored 2 other files: b/jpg, notes.txt" in caplog.text


def test_image_that_was_removed_is_removed_from_the_split(source_files):
    add_files(source_files, ["a.jpg", "b.jpg"])
    fetch_and_read(source_files)
    (source_files.mirror / "photos" / "a.jpg").unlink()
    assert fetch_and_read(source_files).image_ids == ["b.jpg"]


def test_folder_outside_that_is_linked_is_not_searched(source_files):
    add_files(source_files, ["a.jpg"])
    (source_files.mirror / "outside").mkdir()
    (source_files.mirror / "outside" / "secret.jpg").write_bytes(b"")
    (source_files.mirror / "photos" / "link").symlink_to(source_files.mirror / "outside")
    assert fetch_and_read(source_files).image_ids == ["a.jpg"]


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (["a.jpg"], {"split": "test"}, r"datasets\.x has no split 'test'; its splits: all"),
        (["a.jpg"], {"source": "missing"}, r"datasets\.x\.source: .*missing does not exist"),
        (["a.jpg"], {"source": "photos/a.jpg"}, r"datasets\.x\.source: .*a\.jpg is not a folder"),
        (["a.txt"], {}, r"datasets\.x\.source: .*photos has no image \(\.jpg, .*only 1 other file: a\.txt"),
    ],
)
def test_mistake_is_one_line_error(source_files, names, arguments, message):
    add_files(source_files, names)
    with pytest.raises(OvertopError, match=message) as caught:
        fetch_and_read(source_files, **arguments)
    assert "\n" not in str(caught.value)
