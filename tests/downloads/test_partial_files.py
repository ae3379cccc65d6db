"""What a killed or stopped download left is used only if it is what was received."""

from contextlib import suppress
from pathlib import Path

import pytest

from overtop.downloads import partial_files
from overtop.downloads.digests import Digest
from overtop.downloads.partial_files import PartialFile, RemoteFile

REMOTE = RemoteFile("https://a.org/x", '"tag"', 10)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "x"


def receive(target: Path, *chunks: bytes) -> PartialFile:
    part = PartialFile(target)
    part.start(REMOTE)
    with part.open() as write:
        for chunk in chunks:
            write(chunk)
    return part


def test_next_process_continues_with_what_was_received(target: Path) -> None:
    receive(target, b"abc", b"de")
    part = PartialFile(target)
    assert (part.bytes, part.remote) == (5, REMOTE)
    with part.open() as write:
        write(b"f")
    assert part.path.read_bytes() == b"abcdef"
    (target.parent / "whole").write_bytes(b"abcdef")
    assert part.digest() == Digest.of(target.parent / "whole")


def test_killed_process_loses_what_it_had_not_recorded(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_files, "RECORD_BYTES", 4)
    part = PartialFile(target)
    part.start(REMOTE)
    with part.open() as write:
        write(b"abcd")
        write(b"ef")
        assert PartialFile(target).bytes == 4  # as another process would find it


def test_bytes_after_an_error_are_kept(target: Path) -> None:
    part = PartialFile(target)
    part.start(REMOTE)
    with suppress(ConnectionError), part.open() as write:
        write(b"abc")
        raise ConnectionError
    assert PartialFile(target).bytes == 3


@pytest.mark.parametrize("damage", ["flip", "cut", "no record", "flipped record", "no bytes"])
def test_damaged_bytes_are_discarded(target: Path, damage: str) -> None:
    receive(target, b"abcdef")
    data, record = target.with_name("x.part"), target.with_name("x.part.json")
    if damage == "flip":
        data.write_bytes(b"abCdef")
    elif damage == "cut":
        data.write_bytes(b"abcd")
    elif damage == "no record":
        record.unlink()
    elif damage == "flipped record":
        record.write_text(record.read_text().replace("a.org", "b.org"))
    else:
        data.unlink()
    part = PartialFile(target)
    assert (part.bytes, part.remote) == (0, None)
    assert list(target.parent.iterdir()) == []


def test_complete_file_gets_its_name(target: Path) -> None:
    receive(target, b"abc").publish(target)
    assert [path.name for path in target.parent.iterdir()] == ["x"]
    assert target.read_bytes() == b"abc"
