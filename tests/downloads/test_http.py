import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from downloads.content import CONTENT, SHA256, WRONG, left
from helpers.standin import Fault, Standin
from overtop.downloads import http as transfer
from overtop.downloads.digests import Digest, Expected
from overtop.downloads.http import download
from overtop.downloads.retries import Failed
from overtop.errors import OvertopError

DIGEST = Digest(len(CONTENT), SHA256)
UNKNOWN = Expected("nobody")
KNOWN = Expected("sources.a", DIGEST.bytes, DIGEST.sha256)
CUT = 123_456


@pytest.fixture
def target(tmp_path: Path, standin: Standin) -> Path:
    standin.put("files/a.zip", CONTENT)
    (tmp_path / "got").mkdir()
    return tmp_path / "got" / "a.zip"


@pytest.fixture
def address(standin: Standin) -> str:
    return f"{standin.url}/files/a.zip"


def whole(target: Path) -> bool:
    return left(target.parent) == ["a.zip"] and target.read_bytes() == CONTENT


@pytest.mark.parametrize("expected", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_a_file_arrives(standin: Standin, address: str, target: Path, expected: Expected) -> None:
    assert download([address], target, expected) == DIGEST
    assert whole(target)
    assert [request.range for request in standin.requests] == [None]


def test_an_empty_file_arrives(standin: Standin, target: Path) -> None:
    standin.put("files/empty", b"")
    assert download([f"{standin.url}/files/empty"], target, UNKNOWN).bytes == 0
    assert target.read_bytes() == b""


def test_a_cut_download_goes_on_where_it_was(standin: Standin, address: str, target: Path) -> None:
    standin.faults["a.zip"] = Fault("cut", times=2, after=CUT)
    download([address], target, KNOWN)
    assert whole(target)
    assert [request.range for request in standin.requests] == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


def test_more_cuts_than_attempts_are_outlived_while_bytes_come(standin: Standin, address: str, target: Path) -> None:
    standin.faults["a.zip"] = Fault("cut", times=10, after=20_000)
    download([address], target, UNKNOWN)
    assert whole(target)
    assert len(standin.requests) == 11


def test_a_server_without_ranges_starts_over(standin: Standin, address: str, target: Path) -> None:
    standin.faults = {"a.zip": Fault("no_range"), "zip": Fault("cut", times=1, after=CUT)}
    download([address], target, KNOWN)
    assert whole(target)
    assert [request.range for request in standin.requests] == [None, None]


def test_a_server_that_ignores_the_range_starts_over(standin: Standin, address: str, target: Path) -> None:
    begin(standin, address, target)
    standin.faults = {"a.zip": Fault("no_range")}
    download([address], target, KNOWN)
    assert whole(target)
    assert standin.requests[-1].range == f"bytes={CUT}-"


def test_a_server_that_always_breaks_off_is_left_in_the_end(standin: Standin, address: str, target: Path) -> None:
    standin.faults = {"a.zip": Fault("no_range"), "zip": Fault("cut", after=CUT)}
    with pytest.raises(Failed, match=r"a\.zip broke off .*attempts"):
        download([address], target, KNOWN)
    assert not target.exists()


def test_a_file_that_changed_meanwhile_starts_over(standin: Standin, address: str, target: Path) -> None:
    begin(standin, address, target)
    changed = CONTENT[::-1]
    standin.put("files/a.zip", changed)
    download([address], target, UNKNOWN)
    assert target.read_bytes() == changed
    assert standin.requests[-1].range == f"bytes={CUT}-"


def test_the_rest_of_another_file_is_not_taken(
    standin: Standin, address: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(standin, address, target)
    standin.put("files/a.zip", CONTENT[::-1])
    real = transfer.requests.get

    def without_condition(address: str, headers: dict[str, str], **options: object) -> object:
        return real(address, headers={k: v for k, v in headers.items() if k != "If-Range"}, **options)

    monkeypatch.setattr(transfer.requests, "get", without_condition)  # as if the server did not know If-Range
    download([address], target, UNKNOWN)
    assert target.read_bytes() == CONTENT[::-1]
    assert [request.range for request in standin.requests[-2:]] == [f"bytes={CUT}-", None]


def test_a_part_of_another_address_is_not_continued(standin: Standin, address: str, target: Path) -> None:
    begin(standin, address, target)
    standin.put("files/mirror/a.zip", CONTENT)
    download([f"{standin.url}/files/mirror/a.zip"], target, KNOWN)
    assert whole(target)
    assert standin.requests[-1].range is None


def test_a_complete_part_is_verified_and_not_asked_for_again(standin: Standin, address: str, target: Path) -> None:
    begin(standin, address, target)
    with open(f"{target}.part", "ab") as handle:
        handle.write(CONTENT[CUT:])
    before = len(standin.requests)
    download([address], target, KNOWN)
    assert whole(target)
    assert len(standin.requests) == before


def test_a_part_that_is_too_long_starts_over(standin: Standin, address: str, target: Path) -> None:
    begin(standin, address, target)
    with open(f"{target}.part", "ab") as handle:
        handle.write(CONTENT)
    download([address], target, KNOWN)
    assert whole(target)


def test_a_part_without_its_note_starts_over(standin: Standin, address: str, target: Path) -> None:
    Path(f"{target}.part").write_bytes(b"left by something else")
    download([address], target, UNKNOWN)
    assert whole(target)


@pytest.mark.parametrize("times", [1, 1 << 30], ids=["once", "always"])
def test_wrong_bytes_never_get_the_name(standin: Standin, address: str, target: Path, times: int) -> None:
    standin.faults["a.zip"] = Fault("wrong_bytes", times=times)
    with pytest.raises(Failed, match="has sha256") as error:
        download([address], target, KNOWN)
    assert all(text in str(error.value) for text in (address, WRONG, DIGEST.sha256, "sources.a"))
    assert left(target.parent) == []


def test_wrong_bytes_of_one_server_are_mended_by_the_next(standin: Standin, address: str, target: Path) -> None:
    standin.put("files/mirror/a.zip", CONTENT)
    standin.faults["files/a.zip"] = Fault("wrong_bytes")
    download([address, f"{standin.url}/files/mirror/a.zip"], target, KNOWN)
    assert whole(target)


def test_a_wrong_size_is_seen_before_the_body(standin: Standin, address: str, target: Path) -> None:
    standin.put("files/a.zip", b"<html>please log in</html>")
    with pytest.raises(Failed, match=rf"has bytes 26, expected {len(CONTENT)}"):
        download([address], target, KNOWN)
    assert left(target.parent) == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(standin: Standin, address: str, target: Path, status: int) -> None:
    standin.faults["a.zip"] = Fault("status", times=2, status=status, headers={"Retry-After": "0"})
    download([address], target, KNOWN)
    assert whole(target)
    assert len(standin.requests) == 3


def test_the_wait_a_busy_server_asks_for_is_kept(standin: Standin, address: str, target: Path) -> None:
    standin.faults["a.zip"] = Fault("status", times=1, status=429, headers={"Retry-After": "1"})
    start = time.monotonic()
    download([address], target, KNOWN)
    assert time.monotonic() - start > 1


@pytest.mark.parametrize("status", [403, 404])
def test_the_next_address_has_what_the_first_has_not(standin: Standin, address: str, target: Path, status: int) -> None:
    standin.faults["gone/a.zip"] = Fault("status", status=status)
    download([f"{standin.url}/files/gone/a.zip", address], target, KNOWN)
    assert whole(target)
    assert len(standin.requests) == 2


def test_all_that_was_tried_is_listed(standin: Standin, target: Path) -> None:
    addresses = [f"{standin.url}/files/{place}/a.zip" for place in ("one", "two")]
    standin.faults["two/a.zip"] = Fault("status", status=403)
    with pytest.raises(Failed) as error:
        download(addresses, target, KNOWN)
    assert str(error.value) == f"{addresses[0]} answered 404; {addresses[1]} answered 403"
    assert left(target.parent) == []


def test_nobody_listens(tmp_path: Path) -> None:
    with Standin(tmp_path) as gone:
        pass
    with pytest.raises(Failed, match=r"broke off \(ConnectionRefusedError"):
        download([f"{gone.url}/files/a.zip"], tmp_path / "a.zip", KNOWN)


def test_a_stalled_server_is_asked_for_the_rest(standin: Standin, address: str, target: Path) -> None:
    standin.faults["a.zip"] = Fault("slow", times=1, after=CUT, seconds=5)
    download([address], target, KNOWN)
    assert whole(target)
    assert [request.range for request in standin.requests] == [None, f"bytes={CUT}-"]


def test_a_killed_download_goes_on_in_the_next_call(
    standin: Standin, address: str, target: Path, script: Callable[..., subprocess.Popen[str]]
) -> None:
    standin.faults["a.zip"] = Fault("slow", times=1, after=CUT, seconds=60)
    job = script(f"""
from pathlib import Path
from overtop.downloads.digests import Expected
from overtop.downloads.http import download
download([{address!r}], Path({str(target)!r}), Expected("nobody"))
""")
    part, deadline = Path(f"{target}.part"), time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= CUT - 8192):  # the file's buffer dies with the process
        assert job.poll() is None, job.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.kill()
    job.communicate()
    assert not target.exists()
    came = part.stat().st_size
    download([address], target, KNOWN)
    assert whole(target)
    assert standin.requests[-1].range == f"bytes={came}-"


def test_a_full_disk_is_told_before_the_download(
    standin: Standin, address: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = transfer.shutil.disk_usage(target.parent)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OvertopError, match=f"{len(CONTENT)} bytes are to come and 1000 are free"):
        download([address], target, KNOWN)
    assert not target.exists()


def begin(standin: Standin, address: str, target: Path) -> None:
    """Leave a part of the file behind, as a job does whose time is over."""
    standin.faults = {"a.zip": Fault("cut", times=1, after=CUT)}

    class Over(Exception):
        pass

    def stop(*_: object) -> None:
        raise Over

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("overtop.downloads.retries.time.sleep", stop)
        with pytest.raises(Over):
            download([address], target, UNKNOWN)
    assert Path(f"{target}.part").stat().st_size == CUT
    standin.faults = {}
