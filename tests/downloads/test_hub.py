import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from downloads.content import CONTENT, SHA256, WRONG_SHA256, list_files
from helpers.fake_server import FakeServer, Fault
from overtop.config.sources import HubSource
from overtop.downloads import hub
from overtop.downloads.digests import Digest, ExpectedDigest
from overtop.downloads.retries import DownloadError

SOURCE = HubSource(kind="hub", repo="clip-benchmark/wds", licence="none")
UNKNOWN = ExpectedDigest("nothing")
CUT_BYTES = 120 << 10


@pytest.fixture
def target(tmp_path: Path, server: FakeServer) -> Path:
    server.add_file("hub/datasets/clip-benchmark/wds/test/0.tar", CONTENT)
    server.add_file("hub/datasets/clip-benchmark/wds/test/nshards.txt", b"1\n")
    (tmp_path / "got").mkdir()
    return tmp_path / "got" / "0.tar"


def fetch(target: Path, expected: ExpectedDigest = UNKNOWN, source: HubSource = SOURCE) -> Digest:
    return hub.download(source, "test/0.tar", target, expected)


def is_complete(target: Path) -> bool:
    return list_files(target.parent) == ["0.tar"] and target.read_bytes() == CONTENT


def test_large_file_is_downloaded_with_one_request(server: FakeServer, target: Path) -> None:
    assert fetch(target, ExpectedDigest("lock", len(CONTENT), SHA256)) == Digest(len(CONTENT), SHA256)
    assert is_complete(target)
    assert len(server.requests_for("test/0.tar")) == 1


def test_small_file_is_downloaded(target: Path) -> None:
    assert hub.download(SOURCE, "test/nshards.txt", target, UNKNOWN).bytes == 2
    assert target.read_text() == "1\n"


def test_file_of_model_repository_is_downloaded(server: FakeServer, target: Path) -> None:
    server.add_file("hub/models/timm/vit/open_clip_model.safetensors", b"weights")
    source = HubSource(kind="hub", repo="timm/vit", repo_type="model", licence="MIT")
    hub.download(source, "open_clip_model.safetensors", target, UNKNOWN)
    assert target.read_bytes() == b"weights"


def test_download_uses_commit_of_the_metadata(server: FakeServer, target: Path) -> None:
    fetch(target)
    (request,) = server.requests_for("test/0.tar")
    commit = request.path.split("/resolve/")[1].split("/")[0]
    assert len(commit) == 40
    fetch(target, source=SOURCE.model_copy(update={"revision": commit}))
    assert is_complete(target)


def test_interrupted_download_is_resumed(server: FakeServer, target: Path) -> None:
    server.faults["0.tar"] = Fault("cut", times=1, after=CUT_BYTES)
    fetch(target)
    assert is_complete(target)
    assert [request.range for request in server.requests_for("0.tar")] == [None, f"bytes={CUT_BYTES}-"]


def test_download_from_stalled_server_is_resumed(server: FakeServer, target: Path) -> None:
    server.faults["0.tar"] = Fault("slow", times=1, after=CUT_BYTES, seconds=5)
    fetch(target)
    assert is_complete(target)
    assert [request.range for request in server.requests_for("0.tar")] == [None, f"bytes={CUT_BYTES}-"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_hub_is_retried(server: FakeServer, target: Path, status: int) -> None:
    server.faults["0.tar"] = Fault("status", times=2, status=status)
    fetch(target)
    assert is_complete(target)


def test_refused_body_is_retried(server: FakeServer, target: Path) -> None:
    original_fault, refused = server.next_fault, []

    def fault(path: str, kinds: tuple[str, ...]) -> Fault | None:
        if kinds == ("status",) and server.requests[-1].method == "GET" and not refused:
            refused.append(path)
            return Fault("status", status=502)
        return original_fault(path, kinds)

    server.next_fault = fault
    fetch(target)
    assert refused
    assert is_complete(target)


@pytest.mark.parametrize(
    ("content", "member", "message"),
    [(CONTENT, "test/0.tar", WRONG_SHA256), (b"1\n", "test/nshards.txt", "git digest")],
)
def test_wrong_content_never_becomes_the_target(
    server: FakeServer, target: Path, content: bytes, member: str, message: str
) -> None:
    server.faults[member] = Fault("wrong_bytes")
    with pytest.raises(DownloadError, match=message) as error:
        hub.download(SOURCE, member, target, UNKNOWN)
    assert f"{server.url}/datasets/clip-benchmark/wds" in str(error.value)
    assert list_files(target.parent) == []


@pytest.mark.parametrize(
    "expected",
    [ExpectedDigest("lock.csv", len(CONTENT), "0" * 64), ExpectedDigest("lock.csv", 7)],
    ids=["digest", "size"],
)
def test_file_that_differs_from_expected_is_not_transferred(
    server: FakeServer, target: Path, expected: ExpectedDigest
) -> None:
    with pytest.raises(DownloadError, match=r"expected (0{64}|7) \(lock.csv\)"):
        fetch(target, expected)
    assert server.requests_for("0.tar") == []


def test_small_file_with_unexpected_sha256_is_rejected(target: Path) -> None:
    with pytest.raises(DownloadError, match="expected 0{64}"):
        hub.download(SOURCE, "test/nshards.txt", target, ExpectedDigest("lock.csv", 2, "0" * 64))
    assert list_files(target.parent) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("status", status=403, headers={"X-Error-Code": "GatedRepo"}), "gated; accept its terms on that page"),
        (Fault("status", status=401, headers={"X-Error-Code": "RepoNotFound"}), "no such repository, or it is private"),
        (Fault("status", status=404, headers={"X-Error-Code": "RevisionNotFound"}), "no revision 'main'"),
        (Fault("status", status=404, headers={"X-Error-Code": "EntryNotFound"}), "no file 'test/0.tar'"),
        (Fault("status", status=403), "HTTP status 403; is the token right"),
        (Fault("status", status=503), r"HTTP status 503 \(4 attempts\)"),
    ],
    ids=["gated", "no repository", "no revision", "no file", "forbidden", "down"],
)
def test_refusal_of_hub_is_explained(server: FakeServer, target: Path, fault: Fault, message: str) -> None:
    server.faults["0.tar"] = fault
    with pytest.raises(DownloadError, match=f"^{server.url}/datasets/clip-benchmark/wds: {message}"):
        fetch(target)
    assert list_files(target.parent) == []


def test_missing_repository_is_reported(server: FakeServer, target: Path) -> None:
    with pytest.raises(DownloadError, match="/datasets/no/repository: no such repository"):
        fetch(target, source=SOURCE.model_copy(update={"repo": "no/repository"}))


def test_unreachable_hub_is_reported(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer(tmp_path) as gone:
        pass
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", gone.url + "/{repo_id}/resolve/{revision}/{filename}")
    with pytest.raises(DownloadError, match=r"connection failed for test/0.tar \(ConnectError.*4 attempts"):
        fetch(target)


@pytest.mark.parametrize("error", [RuntimeError("CAS service error"), OSError("Consistency check failed")])
def test_other_errors_of_client_are_retried(target: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    original_download, raised = hub.hf_hub_download, []

    def download(*args: str, **options: object) -> str:
        if not raised:
            raised.append(error)
            raise error
        return original_download(*args, **options)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    fetch(target)
    assert raised
    assert is_complete(target)


def test_disk_error_is_not_retried(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: str, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hub, "hf_hub_download", download)
    with pytest.raises(PermissionError):
        fetch(target)


def test_leftover_of_killed_job_is_removed(target: Path) -> None:
    leftover = target.with_name(".0.tar.hub") / ".cache" / "0.tar.incomplete"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    fetch(target)
    assert is_complete(target)


def test_hub_address_of_environment_is_used(
    server: FakeServer, target: Path, script: Callable[..., subprocess.Popen[str]]
) -> None:
    job = script(f"""
from pathlib import Path
from overtop.downloads import hub
from overtop.downloads.digests import ExpectedDigest
from overtop.config.sources import HubSource
source = HubSource(kind="hub", repo="clip-benchmark/wds", licence="none")
print(hub.download(source, "test/0.tar", Path({str(target)!r}), ExpectedDigest("nothing")).sha256)
""")
    assert job.communicate() == (f"{SHA256}\n", "")
    assert is_complete(target)
