import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from overtop.downloads.lock import locked, verify_or_record
from overtop.errors import OvertopError


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "data" / "lock.csv"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(b"abc")
    return path


def test_recorded_at_first_use_in_order(lock: Path, file: Path) -> None:
    for name in ("flickr", "coco"):
        verify_or_record(lock, name, "test/0.tar", file)
    digest = hashlib.sha256(b"abc").hexdigest()
    assert lock.read_text() == (f"name,file,bytes,sha256\ncoco,test/0.tar,3,{digest}\nflickr,test/0.tar,3,{digest}\n")


def test_verified_ever_after(lock: Path, file: Path) -> None:
    first = verify_or_record(lock, "coco", "a.zip", file)
    before = lock.stat().st_mtime_ns
    assert verify_or_record(lock, "coco", "a.zip", file) == first == locked(lock, "coco", "a.zip")
    assert lock.stat().st_mtime_ns == before


def test_another_file_is_an_error_and_changes_nothing(lock: Path, file: Path) -> None:
    verify_or_record(lock, "coco", "a.zip", file)
    before = lock.read_text()
    file.write_bytes(b"abd")
    with pytest.raises(OvertopError, match=r"lock.csv, row coco,a.zip, says") as error:
        verify_or_record(lock, "coco", "a.zip", file)
    assert hashlib.sha256(b"abc").hexdigest() in str(error.value)
    assert hashlib.sha256(b"abd").hexdigest() in str(error.value)
    assert lock.read_text() == before


def test_nothing_is_known_without_a_table(lock: Path) -> None:
    assert locked(lock, "coco", "a.zip") is None


@pytest.mark.parametrize("text", ["name,file\ncoco,a.zip\n", "name,file,bytes,sha256\ncoco,a.zip,many,0\n"])
def test_a_damaged_table_says_so(lock: Path, text: str) -> None:
    lock.parent.mkdir()
    lock.write_text(text)
    with pytest.raises(OvertopError, match=r"lock.csv is not a lock table"):
        locked(lock, "coco", "a.zip")


def test_several_processes_record_at_once(lock: Path, file: Path, script: Callable[..., subprocess.Popen[str]]) -> None:
    code = f"""
from pathlib import Path
from overtop.downloads.lock import verify_or_record
for i in range(5):
    verify_or_record(Path({str(lock)!r}), "NAME", f"{{i:02d}}.tar", Path({str(file)!r}))
"""
    jobs = [script(code.replace("NAME", name)) for name in ("coco", "flickr")]
    assert [(job.wait(), job.communicate()[1]) for job in jobs] == [(0, "")] * 2
    rows = [line.split(",")[:2] for line in lock.read_text().splitlines()[1:]]
    assert rows == [[name, f"{i:02d}.tar"] for name in ("coco", "flickr") for i in range(5)]
