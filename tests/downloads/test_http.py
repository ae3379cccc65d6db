import hashlib
import random
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import requests

from downloads.content import CONTENT, SHA256, WRONG_SHA256, list_files
from helpers.fake_server import FakeServer, Fault
from overtop.downloads import http
from overtop.downloads.digests import Digest, ExpectedDigest
from overtop.downloads.http import download
from overtop.downloads.partial_files import PartialFile
from overtop.downloads.retries import DownloadError
from overtop.errors import OvertopError
from overtop.storage.json_files import read_json

DIGEST = Digest(len(CONTENT), SHA256)
UNKNOWN = ExpectedDigest("nothing")
KNOWN = ExpectedDigest("sources.a", DIGEST.bytes, DIGEST.sha256)
CUT_BYTES = 123_456


@pytest.fixture
def target(tmp_path: Path, server: FakeServer) -> Path:
    server.add_file("files/a.zip", CONTENT)
    (tmp_path / "got").mkdir()
    return tmp_path / "got" / "a.zip"


@pytest.fixture
def address(server: FakeServer) -> str:
    return f"{server.url}/files/a.zip"


def is_complete(target: Path) -> bool:
    return list_files(target.parent) == ["a.zip"] and target.read_bytes() == CONTENT


@pytest.mark.parametrize("expected", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_file_is_downloaded_with_one_request(
    server: FakeServer, address: str, target: Path, expected: ExpectedDigest
) -> None:
    assert download([address], target, expected) == DIGEST
    assert is_complete(target)
    assert [request.range for request in server.requests] == [None]


def test_empty_file_is_downloaded(server: FakeServer, target: Path) -> None:
    server.add_file("files/empty", b"")
    assert download([f"{server.url}/files/empty"], target, UNKNOWN).bytes == 0
    assert target.read_bytes() == b""


def test_interrupted_download_is_resumed(server: FakeServer, address: str, target: Path) -> None:
    server.faults["a.zip"] = Fault("cut", times=2, after=CUT_BYTES)
    download([address], target, KNOWN)
    assert is_complete(target)
    assert [request.range for request in server.requests] == [None, f"bytes={CUT_BYTES}-", f"bytes={2 * CUT_BYTES}-"]


def test_download_that_progresses_survives_more_interruptions_than_attempts(
    server: FakeServer, address: str, target: Path
) -> None:
    server.faults["a.zip"] = Fault("cut", times=10, after=20_000)
    download([address], target, UNKNOWN)
    assert is_complete(target)
    assert len(server.requests) == 11


def test_download_without_range_support_restarts(server: FakeServer, address: str, target: Path) -> None:
    server.faults = {"a.zip": Fault("no_range"), "zip": Fault("cut", times=1, after=CUT_BYTES)}
    download([address], target, KNOWN)
    assert is_complete(target)
    assert [request.range for request in server.requests] == [None, None]


def test_download_restarts_if_server_ignores_range(server: FakeServer, address: str, target: Path) -> None:
    leave_partial_file(server, address, target)
    server.faults = {"a.zip": Fault("no_range")}
    download([address], target, KNOWN)
    assert is_complete(target)
    assert server.requests[-1].range == f"bytes={CUT_BYTES}-"


def test_download_that_never_progresses_ends_with_error(server: FakeServer, address: str, target: Path) -> None:
    server.faults = {"a.zip": Fault("no_range"), "zip": Fault("cut", after=CUT_BYTES)}
    with pytest.raises(DownloadError, match=r"a\.zip: connection failed \(IncompleteRead.*attempts"):
        download([address], target, KNOWN)
    assert not target.exists()


def test_download_restarts_if_file_changed(server: FakeServer, address: str, target: Path) -> None:
    leave_partial_file(server, address, target)
    changed = CONTENT[::-1]
    server.add_file("files/a.zip", changed)
    download([address], target, UNKNOWN)
    assert target.read_bytes() == changed
    assert server.requests[-1].range == f"bytes={CUT_BYTES}-"


def test_download_restarts_if_range_is_of_changed_file(
    server: FakeServer, address: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_partial_file(server, address, target)
    server.add_file("files/a.zip", CONTENT[::-1])
    original_get = http.requests.get

    def without_condition(address: str, headers: dict[str, str], **options: object) -> object:
        return original_get(address, headers={k: v for k, v in headers.items() if k != "If-Range"}, **options)

    monkeypatch.setattr(http.requests, "get", without_condition)  # as if the server did not support If-Range
    download([address], target, UNKNOWN)
    assert target.read_bytes() == CONTENT[::-1]
    assert [request.range for request in server.requests[-2:]] == [f"bytes={CUT_BYTES}-", None]


def test_partial_file_of_another_address_is_not_resumed(server: FakeServer, address: str, target: Path) -> None:
    leave_partial_file(server, address, target)
    server.add_file("files/mirror/a.zip", CONTENT)
    download([f"{server.url}/files/mirror/a.zip"], target, KNOWN)
    assert is_complete(target)
    assert server.requests[-1].range is None


def test_complete_partial_file_is_verified_without_request(server: FakeServer, address: str, target: Path) -> None:
    leave_partial_file(server, address, target)
    part = PartialFile(target)
    with part.open() as write:
        write(CONTENT[CUT_BYTES:])
    before = len(server.requests)
    download([address], target, KNOWN)
    assert is_complete(target)
    assert len(server.requests) == before


@pytest.mark.parametrize("expected", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_damaged_partial_file_is_received_again(
    server: FakeServer, address: str, target: Path, expected: ExpectedDigest
) -> None:
    leave_partial_file(server, address, target)
    left = {path.name: path.read_bytes() for path in target.parent.iterdir()}
    random_numbers = random.Random(0)
    for number in range(60):
        for path in target.parent.iterdir():
            path.unlink()
        for name, content in left.items():
            (target.parent / name).write_bytes(content)
        damaged = target.with_name(f"{target.name}.part{'.json' if number % 4 == 0 else ''}")
        content = bytearray(damaged.read_bytes())
        content[random_numbers.randrange(len(content))] ^= 1 << random_numbers.randrange(8)
        damaged.write_bytes(content)
        assert download([address], target, expected) == DIGEST
        assert server.requests[-1].range is None
        assert is_complete(target)


def test_wrong_file_that_was_resumed_is_received_once_more(server: FakeServer, address: str, target: Path) -> None:
    """As from a server that keeps the modification date of a file that it replaces."""
    leave_partial_file(server, address, target)
    part = PartialFile(target)
    remote = part.remote
    assert remote is not None
    part.start(remote)
    with part.open() as write:
        write(bytes(CUT_BYTES))
    download([address], target, KNOWN)
    assert is_complete(target)
    assert [request.range for request in server.requests[-2:]] == [f"bytes={CUT_BYTES}-", None]


def test_body_that_is_longer_than_declared_is_rejected(server: FakeServer, address: str, target: Path) -> None:
    server.faults["a.zip"] = Fault("longer")
    with pytest.raises(DownloadError, match=f"sends more than the {len(CONTENT)} bytes of the file"):
        download([address], target, KNOWN)
    assert list_files(target.parent) == []


def test_server_that_sends_byte_by_byte_is_given_up(
    server: FakeServer, address: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLOWEST", (1000, 0.3))
    server.add_file("files/mirror/a.zip", CONTENT)
    server.faults["files/a.zip"] = Fault("drip", seconds=0.02)
    with pytest.raises(DownloadError, match=r"too slow, \d+ bytes in 0 s"):
        download([address], target, KNOWN)
    download([address, f"{server.url}/files/mirror/a.zip"], target, KNOWN)
    assert is_complete(target)


@pytest.mark.parametrize("location", ["http://[", "file:///etc/hostname", "ftp://a.org/x"])
def test_redirect_to_no_usable_address_is_reported(
    server: FakeServer, address: str, target: Path, location: str
) -> None:
    server.faults["a.zip"] = Fault("status", status=302, headers={"Location": location})
    with pytest.raises(DownloadError, match="leads to no address that can be used"):
        download([address], target, KNOWN)
    assert len(server.requests) == 1
    assert list_files(target.parent) == []


@pytest.mark.parametrize(("expected", "is_refused"), [(UNKNOWN, True), (KNOWN, False)], ids=["unknown", "known"])
def test_redirect_without_encryption_needs_a_known_digest(expected: ExpectedDigest, is_refused: bool) -> None:
    final, first = requests.Response(), requests.Response()
    first.url, final.url, final.history = "https://a.org/x", "http://a.org/x", [first]
    with pytest.raises(DownloadError, match="without encryption") if is_refused else nullcontext():
        http._check_redirects(final, expected)


def test_partial_file_that_is_too_long_is_cut(server: FakeServer, address: str, target: Path) -> None:
    leave_partial_file(server, address, target)
    with open(f"{target}.part", "ab") as handle:
        handle.write(CONTENT)
    download([address], target, KNOWN)
    assert is_complete(target)
    assert server.requests[-1].range == f"bytes={CUT_BYTES}-"


def test_partial_file_without_record_restarts(server: FakeServer, address: str, target: Path) -> None:
    Path(f"{target}.part").write_bytes(b"from another program")
    download([address], target, UNKNOWN)
    assert is_complete(target)


def test_md5_is_verified_where_no_other_digest_is_known(server: FakeServer, address: str, target: Path) -> None:
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert download([address], target, ExpectedDigest("sources.a", md5=md5)) == DIGEST
    target.unlink()
    server.faults["a.zip"] = Fault("wrong_bytes")
    with pytest.raises(DownloadError, match=f"md5 is [0-9a-f]{{32}}, expected {md5} .sources.a."):
        download([address], target, ExpectedDigest("sources.a", md5=md5))
    assert list_files(target.parent) == []


@pytest.mark.parametrize("times", [1, 1 << 30], ids=["once", "always"])
def test_wrong_content_never_becomes_the_target(server: FakeServer, address: str, target: Path, times: int) -> None:
    server.faults["a.zip"] = Fault("wrong_bytes", times=times)
    with pytest.raises(DownloadError, match="sha256 is") as error:
        download([address], target, KNOWN)
    assert all(text in str(error.value) for text in (address, WRONG_SHA256, DIGEST.sha256, "sources.a"))
    assert list_files(target.parent) == []


def test_wrong_content_of_one_address_falls_back_to_next(server: FakeServer, address: str, target: Path) -> None:
    server.add_file("files/mirror/a.zip", CONTENT)
    server.faults["files/a.zip"] = Fault("wrong_bytes")
    download([address, f"{server.url}/files/mirror/a.zip"], target, KNOWN)
    assert is_complete(target)


def test_wrong_size_is_rejected_before_the_body(server: FakeServer, address: str, target: Path) -> None:
    server.add_file("files/a.zip", b"<html>please log in</html>")
    with pytest.raises(DownloadError, match=rf"size is 26 bytes, expected {len(CONTENT)}"):
        download([address], target, KNOWN)
    assert list_files(target.parent) == []


@pytest.mark.parametrize("status", [429, 503])
def test_busy_server_is_retried(server: FakeServer, address: str, target: Path, status: int) -> None:
    server.faults["a.zip"] = Fault("status", times=2, status=status, headers={"Retry-After": "0"})
    download([address], target, KNOWN)
    assert is_complete(target)
    assert len(server.requests) == 3


def test_retry_after_of_busy_server_is_respected(server: FakeServer, address: str, target: Path) -> None:
    server.faults["a.zip"] = Fault("status", times=1, status=429, headers={"Retry-After": "1"})
    start = time.monotonic()
    download([address], target, KNOWN)
    assert time.monotonic() - start > 1


@pytest.mark.parametrize("status", [403, 404])
def test_refusal_of_one_address_falls_back_to_next(server: FakeServer, address: str, target: Path, status: int) -> None:
    server.faults["gone/a.zip"] = Fault("status", status=status)
    download([f"{server.url}/files/gone/a.zip", address], target, KNOWN)
    assert is_complete(target)
    assert len(server.requests) == 2


def test_error_lists_every_address_with_its_reason(server: FakeServer, target: Path) -> None:
    addresses = [f"{server.url}/files/{place}/a.zip" for place in ("one", "two")]
    server.faults["two/a.zip"] = Fault("status", status=403)
    with pytest.raises(DownloadError) as error:
        download(addresses, target, KNOWN)
    assert str(error.value) == f"{addresses[0]}: HTTP status 404; {addresses[1]}: HTTP status 403"
    assert list_files(target.parent) == []


def test_unreachable_server_is_reported(tmp_path: Path) -> None:
    with FakeServer(tmp_path) as gone:
        pass
    with pytest.raises(DownloadError, match=r"connection failed \(ConnectionRefusedError"):
        download([f"{gone.url}/files/a.zip"], tmp_path / "a.zip", KNOWN)


def test_download_from_stalled_server_is_resumed(server: FakeServer, address: str, target: Path) -> None:
    server.faults["a.zip"] = Fault("slow", times=1, after=CUT_BYTES, seconds=5)
    download([address], target, KNOWN)
    assert is_complete(target)
    assert [request.range for request in server.requests] == [None, f"bytes={CUT_BYTES}-"]


def test_download_of_killed_process_is_resumed_by_next_call(
    server: FakeServer, address: str, target: Path, script: Callable[..., subprocess.Popen[str]]
) -> None:
    server.faults["a.zip"] = Fault("slow", times=1, after=CUT_BYTES, seconds=60)
    job = script(f"""
from pathlib import Path
from overtop.downloads import partial_files
from overtop.downloads.digests import ExpectedDigest
from overtop.downloads.http import download
partial_files.RECORD_BYTES = 10_000
download([{address!r}], Path({str(target)!r}), ExpectedDigest("nothing"))
""")
    record, deadline = Path(f"{target}.part.json"), time.monotonic() + 30
    while not (record.exists() and read_json(record)["bytes"] > CUT_BYTES - 20_000):
        assert job.poll() is None, job.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.kill()
    job.communicate()
    assert not target.exists()
    download([address], target, KNOWN)
    assert is_complete(target)
    kept = re.fullmatch(r"bytes=(\d+)-", str(server.requests[-1].range))
    assert kept is not None
    assert CUT_BYTES - 20_000 < int(kept[1]) <= CUT_BYTES


def test_full_disk_is_reported_before_the_download(
    server: FakeServer, address: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = http.shutil.disk_usage(target.parent)
    monkeypatch.setattr(http.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OvertopError, match=f"needs {len(CONTENT)} more bytes, but only 1000 are free"):
        download([address], target, KNOWN)
    assert not target.exists()


def leave_partial_file(server: FakeServer, address: str, target: Path) -> None:
    """Leave a partial file behind, like a job that was stopped."""
    server.faults = {"a.zip": Fault("cut", times=1, after=CUT_BYTES)}

    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("overtop.downloads.retries.time.sleep", stop)
        with pytest.raises(Stopped):
            download([address], target, UNKNOWN)
    assert Path(f"{target}.part").stat().st_size == CUT_BYTES
    server.faults = {}
