import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from downloads.content import CONTENT, SHA256, WRONG, left
from helpers.standin import Fault, Standin
from overtop.config.sources import HubSource
from overtop.downloads import hub
from overtop.downloads.digests import Digest, Expected
from overtop.downloads.retries import Failed

SOURCE = HubSource(kind="hub", repo="clip-benchmark/wds", licence="none")
UNKNOWN = Expected("nobody")
CUT = 120 << 10


@pytest.fixture
def target(tmp_path: Path, standin: Standin) -> Path:
    standin.put("hub/datasets/clip-benchmark/wds/test/0.tar", CONTENT)
    standin.put("hub/datasets/clip-benchmark/wds/test/nshards.txt", b"1\n")
    (tmp_path / "got").mkdir()
    return tmp_path / "got" / "0.tar"


def fetch(target: Path, expected: Expected = UNKNOWN, source: HubSource = SOURCE) -> Digest:
    return hub.download(source, "test/0.tar", target, expected)


def whole(target: Path) -> bool:
    return left(target.parent) == ["0.tar"] and target.read_bytes() == CONTENT


def test_a_file_outside_git_arrives(standin: Standin, target: Path) -> None:
    assert fetch(target, Expected("lock", len(CONTENT), SHA256)) == Digest(len(CONTENT), SHA256)
    assert whole(target)
    assert len(standin.asked("test/0.tar")) == 1


def test_a_file_in_git_arrives(target: Path) -> None:
    assert hub.download(SOURCE, "test/nshards.txt", target, UNKNOWN).bytes == 2
    assert target.read_text() == "1\n"


def test_a_model_is_no_data_set(standin: Standin, target: Path) -> None:
    standin.put("hub/models/timm/vit/open_clip_model.safetensors", b"weights")
    source = HubSource(kind="hub", repo="timm/vit", repo_type="model", licence="MIT")
    hub.download(source, "open_clip_model.safetensors", target, UNKNOWN)
    assert target.read_bytes() == b"weights"


def test_the_file_is_the_one_of_the_commit_that_was_asked_about(standin: Standin, target: Path) -> None:
    fetch(target)
    (request,) = standin.asked("test/0.tar")
    commit = request.path.split("/resolve/")[1].split("/")[0]
    assert len(commit) == 40
    fetch(target, source=SOURCE.model_copy(update={"revision": commit}))
    assert whole(target)


def test_a_cut_download_goes_on_where_it_was(standin: Standin, target: Path) -> None:
    standin.faults["0.tar"] = Fault("cut", times=1, after=CUT)
    fetch(target)
    assert whole(target)
    assert [request.range for request in standin.asked("0.tar")] == [None, f"bytes={CUT}-"]


def test_a_stalled_server_is_asked_for_the_rest(standin: Standin, target: Path) -> None:
    standin.faults["0.tar"] = Fault("slow", times=1, after=CUT, seconds=5)
    fetch(target)
    assert whole(target)
    assert [request.range for request in standin.asked("0.tar")] == [None, f"bytes={CUT}-"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_asked_again(standin: Standin, target: Path, status: int) -> None:
    standin.faults["0.tar"] = Fault("status", times=2, status=status)
    fetch(target)
    assert whole(target)


def test_a_body_that_is_refused_is_asked_for_again(standin: Standin, target: Path) -> None:
    real, refused = standin.fault, []

    def fault(path: str, kinds: tuple[str, ...]) -> Fault | None:
        if kinds == ("status",) and standin.requests[-1].method == "GET" and not refused:
            refused.append(path)
            return Fault("status", status=502)
        return real(path, kinds)

    standin.fault = fault
    fetch(target)
    assert refused
    assert whole(target)


@pytest.mark.parametrize(
    ("content", "member", "what"), [(CONTENT, "test/0.tar", WRONG), (b"1\n", "test/nshards.txt", "git digest")]
)
def test_wrong_bytes_never_get_the_name(standin: Standin, target: Path, content: bytes, member: str, what: str) -> None:
    standin.faults[member] = Fault("wrong_bytes")
    with pytest.raises(Failed, match=what) as error:
        hub.download(SOURCE, member, target, UNKNOWN)
    assert f"{standin.url}/datasets/clip-benchmark/wds" in str(error.value)
    assert left(target.parent) == []


@pytest.mark.parametrize(
    "expected", [Expected("lock.csv", len(CONTENT), "0" * 64), Expected("lock.csv", 7)], ids=["digest", "size"]
)
def test_another_file_than_before_is_not_even_fetched(standin: Standin, target: Path, expected: Expected) -> None:
    with pytest.raises(Failed, match=r"expected (0{64}|7) \(lock.csv\)"):
        fetch(target, expected)
    assert standin.asked("0.tar") == []


def test_another_small_file_than_before(target: Path) -> None:
    with pytest.raises(Failed, match="expected 0{64}"):
        hub.download(SOURCE, "test/nshards.txt", target, Expected("lock.csv", 2, "0" * 64))
    assert left(target.parent) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("status", status=403, headers={"X-Error-Code": "GatedRepo"}), "is gated: accept its terms on that page"),
        (Fault("status", status=401, headers={"X-Error-Code": "RepoNotFound"}), "does not exist, or is private"),
        (Fault("status", status=404, headers={"X-Error-Code": "RevisionNotFound"}), "has no revision 'main'"),
        (Fault("status", status=404, headers={"X-Error-Code": "EntryNotFound"}), "has no file 'test/0.tar'"),
        (Fault("status", status=403), "answered 403; is the token right"),
        (Fault("status", status=503), r"answered 503 \(4 attempts\)"),
    ],
    ids=["gated", "no repository", "no revision", "no file", "forbidden", "down"],
)
def test_what_the_hub_refuses_is_told_in_words(standin: Standin, target: Path, fault: Fault, message: str) -> None:
    standin.faults["0.tar"] = fault
    with pytest.raises(Failed, match=f"^{standin.url}/datasets/clip-benchmark/wds {message}"):
        fetch(target)
    assert left(target.parent) == []


def test_a_repository_that_is_not_there(standin: Standin, target: Path) -> None:
    with pytest.raises(Failed, match="/datasets/nobody/nothing does not exist"):
        fetch(target, source=SOURCE.model_copy(update={"repo": "nobody/nothing"}))


def test_nobody_listens(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Standin(tmp_path) as gone:
        pass
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", gone.url + "/{repo_id}/resolve/{revision}/{filename}")
    with pytest.raises(Failed, match=r"broke off test/0.tar \(ConnectError.*4 attempts"):
        fetch(target)


@pytest.mark.parametrize("error", [RuntimeError("CAS service error"), OSError("Consistency check failed")])
def test_what_else_the_client_raises_is_tried_again(
    target: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real, raised = hub.hf_hub_download, []

    def download(*args: str, **options: object) -> str:
        if not raised:
            raised.append(error)
            raise error
        return real(*args, **options)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    fetch(target)
    assert raised
    assert whole(target)


def test_a_disk_error_is_no_network_error(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: str, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hub, "hf_hub_download", download)
    with pytest.raises(PermissionError):
        fetch(target)


def test_what_a_killed_job_left_is_removed(target: Path) -> None:
    remains = target.with_name(".0.tar.hub") / ".cache" / "0.tar.incomplete"
    remains.parent.mkdir(parents=True)
    remains.write_bytes(b"half")
    fetch(target)
    assert whole(target)


def test_the_environment_names_the_hub(
    standin: Standin, target: Path, script: Callable[..., subprocess.Popen[str]]
) -> None:
    job = script(f"""
from pathlib import Path
from overtop.downloads import hub
from overtop.downloads.digests import Expected
from overtop.config.sources import HubSource
source = HubSource(kind="hub", repo="clip-benchmark/wds", licence="none")
print(hub.download(source, "test/0.tar", Path({str(target)!r}), Expected("nobody")).sha256)
""")
    assert job.communicate() == (f"{SHA256}\n", "")
    assert whole(target)
