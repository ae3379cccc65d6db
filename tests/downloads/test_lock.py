import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from overtop.downloads.digests import Digest
from overtop.downloads.lock import read_lock_row, record_or_verify
from overtop.errors import OvertopError


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "data" / "lock.csv"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(b"abc")
    return path


def test_digests_are_recorded_at_first_use_sorted_by_name(lock: Path, file: Path) -> None:
    for name in ("flickr", "coco"):
        record_or_verify(lock, name, "test/0.tar", file, Digest.of(file))
    digest = hashlib.sha256(b"abc").hexdigest()
    assert lock.read_text() == (f"name,file,bytes,sha256\ncoco,test/0.tar,3,{digest}\nflickr,test/0.tar,3,{digest}\n")


def test_recorded_file_leaves_table_unchanged(lock: Path, file: Path) -> None:
    record_or_verify(lock, "coco", "a.zip", file, Digest.of(file))
    before = lock.stat().st_mtime_ns
    record_or_verify(lock, "coco", "a.zip", file, Digest.of(file))
    assert read_lock_row(lock, "coco", "a.zip") == Digest.of(file)
    assert lock.stat().st_mtime_ns == before


def test_file_that_differs_from_row_is_rejected(lock: Path, file: Path) -> None:
    record_or_verify(lock, "coco", "a.zip", file, Digest.of(file))
    before = lock.read_text()
    file.write_bytes(b"abd")
    with pytest.raises(OvertopError, match=r"lock.csv, row coco,a.zip, records") as error:
        record_or_verify(lock, "coco", "a.zip", file, Digest.of(file))
    assert hashlib.sha256(b"abc").hexdigest() in str(error.value)
    assert hashlib.sha256(b"abd").hexdigest() in str(error.value)
    assert lock.read_text() == before


def test_row_without_table_is_none(lock: Path) -> None:
    assert read_lock_row(lock, "coco", "a.zip") is None


@pytest.mark.parametrize("text", ["name,file\ncoco,a.zip\n", "name,file,bytes,sha256\ncoco,a.zip,many,0\n"])
def test_damaged_table_is_rejected(lock: Path, text: str) -> None:
    lock.parent.mkdir()
    lock.write_text(text)
    with pytest.raises(OvertopError, match=r"lock.csv is not a lock table"):
        read_lock_row(lock, "coco", "a.zip")


def test_rows_of_concurrent_processes_are_all_recorded(
    lock: Path, file: Path, script: Callable[..., subprocess.Popen[str]]
) -> None:
    code = f"""
from pathlib import Path
from overtop.downloads.digests import Digest
from overtop.downloads.lock import record_or_verify
file = Path({str(file)!r})
for i in range(5):
    record_or_verify(Path({str(lock)!r}), "NAME", f"{{i:02d}}.tar", file, Digest.of(file))
"""
    jobs = [script(code.replace("NAME", name)) for name in ("coco", "flickr")]
    assert [(job.wait(), job.communicate()[1]) for job in jobs] == [(0, "")] * 2
    rows = [line.split(",")[:2] for line in lock.read_text().splitlines()[1:]]
    assert rows == [[name, f"{i:02d}.tar"] for name in ("coco", "flickr") for i in range(5)]


@pytest.mark.parametrize(
    "content",
    ["", "name,file\n", "a,b,c,d\n", "name,file,bytes,sha256\nx,y,1\n", "name,file,bytes,sha256\nx,y,1,abc\n"],
)
def test_table_that_lost_rows_or_columns_is_not_an_empty_one(tmp_path, content):
    (tmp_path / "lock.csv").write_text(content)
    with pytest.raises(OvertopError, match=r"lock\.csv is not a lock table"):
        read_lock_row(tmp_path / "lock.csv", "x", "y")
