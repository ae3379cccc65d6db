"""Raw files that were lost or damaged come again, the same or not at all."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.source_files import SourceFiles, zip_bytes
from overtop.datasets import source_records
from overtop.datasets.raw import MARKER
from overtop.datasets.restore import ensure_raw
from overtop.datasets.source_records import FetchRequest, list_files, write_source_record
from overtop.errors import OvertopError
from overtop.storage.json_files import read_json, write_json

NAMES = ["a.jpg", "folder/b.jpg", "c.jpg"]
CLASSES = {"kind": "classes", "files": {"layout": "folders", "download": "set", "splits": {"test": "train"}}}


class Fetched:
    """The split `test` of the data set `x`, fetched, and its source."""

    def __init__(self, source_files: SourceFiles, spec, sources=None) -> None:
        self.source_files = source_files
        self.record = source_files.data / "sources" / "x" / "test.json"
        self.raw = source_files.raw()
        values = {"dataset": "x", "split": spec.pop("split", "test"), "spec": spec, "sources": sources or {}, "seed": 0}
        self.request = FetchRequest.model_validate(values)
        self.raw = self.request.raw_folder(source_files.data)
        self.request.fetch(self.raw, source_files.data, str(source_files.mirror))
        write_source_record(self.record, self.request, self.raw)
        self.before = self.read()

    def read(self):
        return {name: (self.raw / name).read_bytes() for name in list_files(self.raw)}

    def ensure(self, *names):
        files = [name and f"raw/x/{self.raw.name}/{name}" for name in names] if names else None
        ensure_raw(self.record, self.source_files.data, str(self.source_files.mirror), files)


@pytest.fixture
def photos(source_files):
    """A folder of photographs."""
    for name in NAMES:
        path = source_files.mirror / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"jpeg of " + name.encode())
    return Fetched(source_files, {"kind": "images", "source": "photos", "split": "all"})


@pytest.fixture
def no_fetch(monkeypatch):
    """An error if anything is fetched."""

    def fail(*_):
        raise AssertionError("fetched")

    return lambda: monkeypatch.setattr(source_records, "fetch_split", fail)


def flip(path):
    """Change one byte, and neither size nor times."""
    content, status = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def assert_nothing_left(fetched):
    names = {path.name for path in fetched.raw.parent.iterdir()}
    assert names == {fetched.raw.name, f".{fetched.raw.name}.lock"}


def test_intact_files_are_not_fetched_again(photos, no_fetch):
    no_fetch()
    photos.ensure()
    photos.ensure("images/a.jpg")


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "all"])
def test_damaged_file_is_restored(photos, damage):
    path = photos.raw / "images" / "folder" / "b.jpg"
    if damage == "flip":
        flip(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:3])
    elif damage == "remove":
        path.unlink()
    else:
        shutil.rmtree(photos.raw)
    photos.ensure("images/folder/b.jpg")
    assert photos.read() == photos.before
    assert_nothing_left(photos)


@pytest.mark.parametrize("name", ["a.jpg", "folder"])
def test_folder_or_file_in_the_way_is_one_line_error(photos, name):
    path = photos.raw / "images" / name
    if path.is_file():
        path.unlink()
        (path / "mine").mkdir(parents=True)
    else:
        shutil.rmtree(path)
        path.write_bytes(b"mine")
    with pytest.raises(OvertopError, match="is needed as a file, and a folder or file is in its way; remove that"):
        photos.ensure()
    assert path.exists()


def test_only_needed_files_are_read(photos, no_fetch):
    flip(photos.raw / "images" / "c.jpg")
    no_fetch()
    photos.ensure("images/a.jpg", "", "images/folder/b.jpg")
    with pytest.raises(AssertionError, match="fetched"):
        photos.ensure("images/c.jpg")


def test_no_files_need_no_record(tmp_path):
    ensure_raw(tmp_path / "missing.json", tmp_path, None, ["", ""])


def test_source_that_changed_is_one_line_error_with_command(photos):
    (photos.source_files.mirror / "photos" / "c.jpg").write_bytes(b"another")
    photos.ensure()  # a change of the source alone is none of the raw files
    (photos.raw / "images" / "c.jpg").unlink()
    (photos.raw / "images" / "a.jpg").unlink()
    with pytest.raises(OvertopError, match=r"images/c\.jpg: missing.* gives another file") as caught:
        photos.ensure("images/a.jpg")
    assert f"snakemake --forcerun {photos.record} -- TARGET" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert_nothing_left(photos)
    assert not (photos.raw / "images" / "c.jpg").exists(), "nothing of another source is put into place"


def test_source_that_is_gone_is_one_line_error_that_names_the_damage(photos):
    shutil.rmtree(photos.source_files.mirror / "photos")
    photos.ensure()
    (photos.raw / "images" / "a.jpg").unlink()
    with pytest.raises(OvertopError, match=r"images/a\.jpg: missing, .* again: .*photos does not exist"):
        photos.ensure()


def test_own_files_in_place_of_a_raw_folder_are_not_touched(photos, tmp_path):
    own = tmp_path / "own"
    (own / "images").mkdir(parents=True)
    (own / "images" / "a.jpg").write_bytes(b"my own")
    shutil.rmtree(photos.raw)
    photos.raw.symlink_to(own)
    with pytest.raises(OvertopError, match="was not made by fetching"):
        photos.ensure()
    assert list_files(own) == ["images/a.jpg"]
    assert (own / "images" / "a.jpg").read_bytes() == b"my own"


def test_raw_folder_that_was_moved_to_another_disk_is_restored(photos, tmp_path):
    shutil.move(photos.raw, tmp_path / "disk")
    photos.raw.symlink_to(tmp_path / "disk")
    (photos.raw / "images" / "a.jpg").unlink()
    photos.ensure()
    assert photos.read() == photos.before
    assert photos.raw.is_symlink()


def test_further_file_is_one_line_error_where_all_are_read(photos):
    (photos.raw / "images" / "d.jpg").write_bytes(b"")
    photos.ensure("images/a.jpg")
    with pytest.raises(OvertopError, match=r"images/d\.jpg is not among the files of .*test\.json; remove it"):
        photos.ensure()
    (photos.raw / "images" / "d.jpg").rename(photos.raw / "images" / ".d.jpg")
    photos.ensure()


def test_file_that_was_not_fetched_is_one_line_error(photos):
    with pytest.raises(OvertopError, match=r"images/d\.jpg is not among the files of"):
        photos.ensure("images/d.jpg")


def test_generated_images_are_generated_again(source_files):
    fetched = Fetched(source_files, {"kind": "shapes", "images": {"test": 3}, "image_size": 16})
    shutil.rmtree(fetched.raw)
    fetched.ensure()
    assert fetched.read() == fetched.before


def test_part_that_is_held_out_is_restored_with_its_draw(source_files):
    spec = {"kind": "shapes", "images": {"test": 8}, "image_size": 16, "held_out": {"bank": {"of": "test"}}}
    fetched = Fetched(source_files, {**spec, "split": "bank"})
    assert "part.json" in fetched.before
    shutil.rmtree(fetched.raw)
    fetched.ensure()
    assert fetched.read() == fetched.before


@pytest.mark.parametrize("damaged", ["images/cat/1.jpg", "labels.csv"])
def test_images_of_an_archive_are_extracted_again(source_files, damaged):
    members = {f"train/{name}/{number}.jpg": f"{name}{number}".encode() for name in ("cat", "dog") for number in "12"}
    source = source_files.add_file("set", "set.zip", zip_bytes(members))
    fetched = Fetched(source_files, dict(CLASSES), {"set": source.model_dump()})
    flip(fetched.raw / damaged)
    fetched.ensure(damaged)
    assert fetched.read() == fetched.before


def test_several_jobs_that_find_damage_fetch_once(photos, monkeypatch):
    fetches = []
    original = source_records.fetch_split
    monkeypatch.setattr(source_records, "fetch_split", lambda *args: (fetches.append(args), original(*args)))
    shutil.rmtree(photos.raw)
    with ThreadPoolExecutor(4) as jobs:
        list(jobs.map(lambda name: photos.ensure(f"images/{name}"), NAMES * 2))
    assert photos.read() == photos.before
    assert len(fetches) == 1


def test_leftover_of_a_killed_job_is_replaced(photos):
    staging = photos.raw.with_name(f".{photos.raw.name}.restored")
    (staging / "images").mkdir(parents=True)
    (staging / "images" / "a.jpg").write_bytes(b"half")
    (photos.raw / "images" / "a.jpg").unlink()
    photos.ensure()
    assert photos.read() == photos.before
    assert not staging.exists()


def test_purged_marker_does_not_prevent_restoring_an_empty_folder(photos):
    for path in photos.raw.rglob("*"):
        if path.is_file():
            path.unlink()
    photos.ensure()
    assert photos.read() == photos.before
    assert (photos.raw / MARKER).is_file()


def test_request_of_another_version_is_one_line_error(photos):
    values = read_json(photos.record)
    values["request"]["spec"]["sauce"] = "photos"
    write_json(photos.record, values)
    with pytest.raises(OvertopError, match=r"test\.json: is no record of fetched files"):
        photos.ensure()
