import zipfile

import pytest

from overtop.datasets.annotations import Record
from overtop.datasets.archives import extract_images, read_member
from overtop.errors import OvertopError


def _write_zip(tmp_path, members, **options):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return tmp_path / "a.zip"


def _record(filename, folder=""):
    return Record(filename, ("one",), folder)


def test_requested_images_are_extracted_by_base_name(tmp_path):
    path = _write_zip(tmp_path, {"deep/in/a.jpg": b"A", "b.jpg": b"B", "c.jpg": b"C", "a.jpg/": b""})
    out = tmp_path / "out"
    assert extract_images(path, [_record("a.jpg", "elsewhere"), _record("b.jpg"), _record("d.jpg")], out) == {
        "a.jpg",
        "b.jpg",
    }
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {"a.jpg": b"A", "b.jpg": b"B"}


def test_member_in_folder_of_record_is_preferred(tmp_path):
    path = _write_zip(
        tmp_path, {"val2014/a.jpg": b"wrong", "x/train2014/a.jpg": b"right", "xtrain2014/a.jpg": b"wrong"}
    )
    extract_images(path, [_record("a.jpg", "train2014")], tmp_path / "out")
    assert (tmp_path / "out" / "a.jpg").read_bytes() == b"right"
    with pytest.raises(OvertopError, match=r"a\.zip: val2014/a\.jpg and .* all match image 'a\.jpg'"):
        extract_images(path, [_record("a.jpg")], tmp_path / "out")


def test_member_name_never_becomes_a_path(tmp_path):
    path = _write_zip(tmp_path, {"../../a.jpg": b"A", "/b.jpg": b"B"})
    out = tmp_path / "deep" / "out"
    assert extract_images(path, [_record("a.jpg"), _record("b.jpg")], out) == {"a.jpg", "b.jpg"}
    assert sorted(p for p in tmp_path.rglob("*.jpg")) == [out / "a.jpg", out / "b.jpg"]
    with pytest.raises(OvertopError, match="points outside"):
        extract_images(path, [_record("../a.jpg")], out)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_image_is_not_written(tmp_path, compression):
    content = bytes(range(256)) * 8
    path = _write_zip(tmp_path, {"a.jpg": content}, compression=compression)
    damaged = bytearray(path.read_bytes())
    damaged[120] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(OvertopError, match=r"a\.zip: cannot be decompressed \(.*\); .* get it again"):
        extract_images(path, [_record("a.jpg")], tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>"])
def test_file_that_is_not_an_archive_is_rejected(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(OvertopError, match=r"a\.zip: cannot be decompressed"):
        extract_images(tmp_path / "a.zip", [_record("a.jpg")], tmp_path / "out")


def test_truncated_archive_is_rejected(tmp_path):
    path = _write_zip(tmp_path, {"a.jpg": bytes(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(OvertopError, match=r"a\.zip: cannot be decompressed"):
        extract_images(path, [_record("a.jpg")], tmp_path / "out")


def test_encrypted_archive_is_rejected(tmp_path):
    path = _write_zip(tmp_path, {"a.jpg": b"A" * 50})
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(header) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(OvertopError, match="encrypted"):
        extract_images(path, [_record("a.jpg")], tmp_path / "out")


def test_member_is_read_by_its_full_name(tmp_path):
    path = _write_zip(tmp_path, {"dataset_coco.json": b"{}", "readme.txt": b""})
    assert read_member(path, "dataset_coco.json") == b"{}"
    with pytest.raises(OvertopError, match=r"a\.zip: no member 'coco\.json'; its JSON files: dataset_coco\.json"):
        read_member(path, "coco.json")


def test_changed_name_in_the_directory_is_damage(tmp_path):
    path = _write_zip(tmp_path, {"val/a.jpg": b"A", "val/b.jpg": b"B"})
    content = path.read_bytes()
    place = content.rindex(b"val/b.jpg")
    path.write_bytes(content[:place] + b"val/b.jxg" + content[place + len(b"val/b.jxg") :])
    with pytest.raises(OvertopError, match="is damaged"):
        extract_images(path, [_record("a.jpg"), _record("b.jpg")], tmp_path / "out")
