"""A folder per class, in a folder or an archive, gives the same split, or a one-line error."""

import io
import tarfile

import pytest

from overtop.config.sources import HubSource
from overtop.errors import OvertopError

FORMS = ("folder", "zip", "tar", "tar.gz")
TINY = {
    "tiny/words.txt": b"n01\tgoldfish, Carassius auratus\nn02\tcrane\nn99\tunused\nno tab\n",
    "tiny/train/n01/images/n01_0.JPEG": b"A",
    "tiny/train/n01/images/n01_1.JPEG": b"B",
    "tiny/train/n01/n01_boxes.txt": b"n01_0.JPEG\t0\t0\t1\t1",
    "tiny/train/n02/images/n02_0.JPEG": b"C",
    "tiny/val/images/val_0.JPEG": b"D",
    "tiny/val/images/val_1.JPEG": b"E",
    "tiny/val/val_annotations.txt": b"val_1.JPEG\tn02\t0\t0\t9\t9\nval_0.JPEG\tn02\t0\t0\t9\t9\n",
}
TINY_FILES = {"layout": "folders", "splits": {"train": "tiny/train", "test": "tiny/val"}, "names": "tiny/words.txt"}


def members_of(*names, prefix=""):
    """Two images in each folder, and files that are no images of a class."""
    images = {f"{prefix}{name}/{k}.PNG": f"{name} {k}".encode() for name in names for k in range(2)}
    others = {f"{name}/notes.txt": b"" for name in names} | {"cover.png": b"", "__MACOSX/a/0.png": b""}
    return images | others | {f"{prefix}{names[0]}/._0.PNG": b""}


def labels_of(split):
    return [images.tolist() for images in split.labels]


@pytest.mark.parametrize("form", FORMS)
def test_folders_are_classes(source_files, form):
    source, sources = source_files.add_tree(form, members_of("056.zebra", "dog_breed", "ak-47"))
    split = source_files.fetch_classes({"layout": "folders", **source}, sources=sources)
    assert split.captions == ["zebra", "ak 47", "dog breed"]
    assert split.image_ids == [f"{name}/{k}.PNG" for name in ("056.zebra", "ak-47", "dog_breed") for k in range(2)]
    assert labels_of(split) == [[0, 1], [2, 3], [4, 5]]
    assert split.templates == ["a photo of a {c}."]
    assert (source_files.data / split.image_paths[5]).read_bytes() == b"dog_breed 1"


@pytest.mark.parametrize("form", FORMS)
def test_tinyimagenet_has_the_same_classes_in_both_splits(source_files, form):
    source, sources = source_files.add_tree(form, TINY)
    train, test = (source_files.fetch_classes(TINY_FILES | source, split, sources) for split in ("train", "test"))
    assert train.captions == test.captions == ["goldfish", "crane"]
    assert train.image_ids == ["n01/images/n01_0.JPEG", "n01/images/n01_1.JPEG", "n02/images/n02_0.JPEG"]
    assert labels_of(train) == [[0, 1], [2]]
    assert test.image_ids == ["images/val_0.JPEG", "images/val_1.JPEG"]
    assert labels_of(test) == [[], [0, 1]]
    assert (source_files.data / test.image_paths[1]).read_bytes() == b"E"


def test_ignored_folder_is_no_class(source_files):
    source, _ = source_files.add_tree("folder", members_of("a", "clutter"))
    split = source_files.fetch_classes({"layout": "folders", "ignore": ["clutter"], **source})
    assert split.captions == ["a"]


def test_limit_is_a_seeded_sample_in_sorted_order(source_files):
    source, _ = source_files.add_tree("folder", members_of(*(f"class {k:02d}" for k in range(30))))
    files = {"layout": "folders", **source}
    whole = source_files.fetch_classes(files).image_ids
    some = source_files.fetch_classes(files, limit={"test": 20}).image_ids
    assert some == source_files.fetch_classes(files, limit={"test": 20}).image_ids == sorted(some)
    assert len(some) == 20
    assert set(some) < set(whole)
    assert some != whole[:20]
    fewer = source_files.fetch_classes(files, limit={"test": 10}).image_ids
    assert set(fewer) < set(some)
    assert source_files.fetch_classes(files, limit={"test": 10}).captions == [f"class {k:02d}" for k in range(30)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": {"test": "tiny/tset"}}, r"no image in tiny/tset/CLASS; correct .*splits\.test\. Its folders: tiny"),
        ({"names": "tiny/names.txt"}, r"no file 'tiny/names\.txt' with the names"),
        ({"names": "tiny/val/val_annotations.txt"}, r"class 'n01' has no name; add a line"),
    ],
)
def test_wrong_place_is_one_line_error(source_files, changes, message):
    source, sources = source_files.add_tree("zip", TINY)
    with pytest.raises(OvertopError, match=message):
        source_files.fetch_classes(TINY_FILES | source | changes, sources=sources)


@pytest.mark.parametrize("line", [b"val_9.JPEG\tn01\n", b"val_0.JPEG n01\n", b"../../train/n01/x.JPEG\tn01\n"])
def test_annotation_of_a_missing_image_or_without_class_is_rejected(source_files, line):
    source, sources = source_files.add_tree("zip", TINY | {"tiny/val/val_annotations.txt": line})
    with pytest.raises(OvertopError, match=r"val_annotations\.txt, line 1: .* is missing or has no class"):
        source_files.fetch_classes(TINY_FILES | source, sources=sources)


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("name", ["../stolen.png", "a/../../stolen.png", "/tmp/a/stolen.png"])
def test_member_outside_the_archive_is_rejected(source_files, form, name):
    source, sources = source_files.add_tree(form, {"a/0.png": b"A", name: b"B"})
    with pytest.raises(OvertopError, match="points outside the archive"):
        source_files.fetch_classes({"layout": "folders", **source}, sources=sources)
    assert not list(source_files.data.rglob("stolen.png"))


def test_link_in_an_archive_is_rejected(source_files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("a/0.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(member)
    sources = {"set": source_files.add_file("set", "set.tar", content.getvalue())}
    with pytest.raises(OvertopError, match=r"member 'a/0\.png' is neither file nor folder"):
        source_files.fetch_classes({"layout": "folders", "download": "set"}, sources=sources)


@pytest.mark.parametrize("length", [0, 700, 1200, 2048, 2560])
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_truncated_archive_is_rejected(source_files, form, length):
    source, sources = source_files.add_tree(form, {f"{k}/0.png": bytes([k]) * 600 for k in range(4)})
    path = source_files.data / "downloads" / "set" / f"set.{form}"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(OvertopError, match=rf"set\.{form}: .*get it again"):
        source_files.fetch_classes({"layout": "folders", **source}, sources=sources)


@pytest.mark.parametrize("length", [10, 100])
def test_truncated_compressed_archive_is_rejected(source_files, length):
    source, sources = source_files.add_tree("tar.gz", {f"{k}/0.png": bytes([k]) * 600 for k in range(4)})
    path = source_files.data / "downloads" / "set" / "set.tar.gz"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(OvertopError, match=r"set\.tar\.gz: cannot be read"):
        source_files.fetch_classes({"layout": "folders", **source}, sources=sources)


def test_repository_cannot_be_listed(source_files):
    sources = {"set": HubSource(kind="hub", repo="a/b", licence="none")}
    with pytest.raises(OvertopError, match=r"sources\.set is of kind hub; this layout needs a folder or an archive"):
        source_files.fetch_classes({"layout": "folders", "download": "set"}, sources=sources)


def test_name_that_differs_between_directory_and_header_of_a_zip_is_rejected(source_files):
    """The image would be missing from its folder, unnoticed."""
    keys, sources = source_files.add_tree("zip", {"cat/a.png": b"a", "dog/b.png": b"b"})
    path = source_files.data / "downloads" / "set" / "set.zip"
    content = path.read_bytes()
    start = content.rindex(b"dog/b.png")
    path.write_bytes(content[:start] + b"dof" + content[start + 3 :])
    with pytest.raises(OvertopError, match=r"set\.zip: cannot be decompressed"):
        source_files.fetch_classes({"layout": "folders", **keys}, sources=sources)
