import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from downloads.content import CONTENT, SHA256, WRONG_SHA256, list_files
from helpers.fake_server import FakeServer, Fault
from overtop.config.sources import FileSource, FolderSource, HubSource
from overtop.downloads import partial_files
from overtop.downloads.fetch import fetch_files
from overtop.errors import MissingFileError, OvertopError, UnavailableError

HUB = HubSource(kind="hub", repo="clip-benchmark/wds", licence="none")
BY_HAND = FileSource(
    kind="file", addresses=[], file="flickr.zip", licence="research only", terms="the form at https://flickr.example"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def archive(server: FakeServer) -> FileSource:
    server.add_file("files/a.zip", CONTENT)
    return FileSource(
        kind="file", addresses=[f"{server.url}/files/a.zip"], file="a.zip", licence="CC BY 4.0", sha256=SHA256
    )


@pytest.fixture
def repository(server: FakeServer) -> HubSource:
    server.add_file("hub/datasets/clip-benchmark/wds/test/0.tar", CONTENT)
    server.add_file("hub/datasets/clip-benchmark/wds/test/nshards.txt", b"1\n")
    return HUB


def without_sha256(source: FileSource) -> FileSource:
    return source.model_copy(update={"sha256": None})


def test_file_is_downloaded_once_and_recorded(data: Path, archive: FileSource, server: FakeServer) -> None:
    target = data / "downloads" / "coco" / "a.zip"
    assert fetch_files("coco", archive, [], data, None) == fetch_files("coco", archive, [], data, None) == [target]
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert (data / "lock.csv").read_text() == f"name,file,bytes,sha256\ncoco,a.zip,{len(CONTENT)},{SHA256}\n"
    assert list_files(data) == ["downloads/coco/a.zip", "lock.csv"]


def test_members_of_repository_are_returned_in_given_order(
    data: Path, repository: HubSource, server: FakeServer
) -> None:
    members = ["test/nshards.txt", "test/0.tar"]
    paths = fetch_files("coco", repository, members, data, None)
    assert paths == [data / "downloads" / "coco" / member for member in members]
    assert [path.stat().st_size for path in paths] == [2, len(CONTENT)]
    before = len(server.requests)
    assert fetch_files("coco", repository, members, data, None) == paths
    assert len(server.requests) == before
    assert list_files(data) == ["downloads/coco/test/0.tar", "downloads/coco/test/nshards.txt", "lock.csv"]


def test_members_of_folder_are_used_in_place(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror" / "wds" / "test").mkdir(parents=True)
    (tmp_path / "mirror" / "wds" / "test" / "0.tar").write_bytes(CONTENT)
    relative = FolderSource(kind="folder", path="wds")
    absolute = FolderSource(kind="folder", path=str(tmp_path / "mirror" / "wds"))
    path = tmp_path / "mirror" / "wds" / "test" / "0.tar"
    assert fetch_files("coco", relative, ["test/0.tar"], data, str(tmp_path / "mirror")) == [path]
    assert fetch_files("coco", absolute, ["test/0.tar"], data, None) == [path]
    assert not data.exists()
    with pytest.raises(OvertopError, match=r"1.tar is missing"):
        fetch_files("coco", absolute, ["test/1.tar"], data, None)
    with pytest.raises(OvertopError, match="no mirror is set"):
        fetch_files("coco", relative, ["test/0.tar"], data, None)
    with pytest.raises(OvertopError, match=r"sources.coco.path: folder .* does not exist"):
        fetch_files("coco", relative, ["test/0.tar"], data, str(tmp_path / "elsewhere"))


def test_member_outside_folder_is_rejected(data: Path, repository: HubSource) -> None:
    for member in ("../other/a.zip", "/etc/passwd"):
        with pytest.raises(OvertopError, match="points outside"):
            fetch_files("coco", repository, [member], data, None)


def test_wrong_content_is_reported_and_removed(data: Path, archive: FileSource, server: FakeServer) -> None:
    server.faults["a.zip"] = Fault("wrong_bytes", times=1)
    with pytest.raises(OvertopError) as error:
        fetch_files("coco", archive, [], data, None)
    parts = ["sources.coco: ", archive.addresses[0], WRONG_SHA256, SHA256, str(data / "downloads" / "coco" / "a.zip")]
    assert all(part in str(error.value) for part in parts)
    assert "\n" not in str(error.value)
    assert list_files(data) == []
    assert fetch_files("coco", archive, [], data, None)[0].read_bytes() == CONTENT


def test_file_that_changed_on_the_server_is_rejected(data: Path, archive: FileSource, server: FakeServer) -> None:
    (path,) = fetch_files("coco", without_sha256(archive), [], data, None)
    path.unlink()
    server.add_file("files/a.zip", CONTENT[::-1])
    with pytest.raises(OvertopError, match=rf"expected {SHA256} \(.*lock.csv, row coco,a.zip\)"):
        fetch_files("coco", without_sha256(archive), [], data, None)
    assert list_files(data) == ["lock.csv"]


def test_locally_damaged_file_is_rejected(data: Path, archive: FileSource) -> None:
    (path,) = fetch_files("coco", without_sha256(archive), [], data, None)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(OvertopError, match=r"lock.csv, row coco,a.zip, records .* remove the file"):
        fetch_files("coco", without_sha256(archive), [], data, None)
    with pytest.raises(OvertopError, match=r"a.zip: sha256 is .* expected .* \(sources.coco in config.yaml\)"):
        fetch_files("coco", archive, [], data, None)


def test_lock_row_that_disagrees_with_config_is_rejected(data: Path, archive: FileSource, server: FakeServer) -> None:
    fetch_files("coco", archive, [], data, None)
    other = archive.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(OvertopError, match=r"lock.csv, row coco,a.zip disagrees with config.yaml"):
        fetch_files("coco", other, [], data, None)


def test_file_placed_by_hand_is_recorded(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OvertopError) as error:
        fetch_files("flickr", BY_HAND, [], data, None)
    target = data / "downloads" / "flickr" / "flickr.zip"
    assert str(error.value) == (
        "sources.flickr: flickr.zip is not downloaded automatically; accept the terms (the form at "
        f"https://flickr.example), then put the file at {target} by hand"
    )
    (tmp_path / "flickr.zip").write_bytes(CONTENT)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(tmp_path / "flickr.zip")  # common for large archives
    assert fetch_files("flickr", BY_HAND, [], data, None) == [target]
    assert f"flickr,flickr.zip,{len(CONTENT)},{SHA256}" in (data / "lock.csv").read_text()


def test_wrong_file_placed_by_hand_is_rejected(data: Path) -> None:
    target = data / "downloads" / "flickr" / "flickr.zip"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"<html>denied</html>")
    with pytest.raises(
        OvertopError, match=r"flickr.zip: size is 19 bytes, expected 20 \(sources.flickr in config.yaml\)"
    ):
        fetch_files("flickr", BY_HAND.model_copy(update={"bytes": 20}), [], data, None)
    assert not (data / "lock.csv").exists()


def test_gated_repository_is_reported_with_its_terms(data: Path, repository: HubSource, server: FakeServer) -> None:
    server.faults["0.tar"] = Fault("status", status=403, headers={"X-Error-Code": "GatedRepo"})
    source = repository.model_copy(update={"terms": "non-commercial"})
    with pytest.raises(OvertopError) as error:
        fetch_files("coco", source, ["test/0.tar"], data, None)
    assert str(error.value) == (
        f"sources.coco: {server.url}/datasets/clip-benchmark/wds: gated; accept its terms on that page, then "
        "`hf auth login` or set HF_TOKEN; accept the terms (non-commercial), then put the file at "
        f"{data}/downloads/coco/test/0.tar by hand"
    )


def test_existing_files_are_used_offline(
    data: Path, archive: FileSource, repository: HubSource, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_files("coco", archive, [], data, None)
    fetch_files("wds", repository, ["test/0.tar"], data, None)
    before = len(server.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch_files("coco", archive, [], data, None)
    assert fetch_files("wds", repository, ["test/0.tar"], data, None)
    for source, members in ((archive, []), (repository, ["test/nshards.txt"])):
        with pytest.raises(
            OvertopError, match=r"HF_HUB_OFFLINE forbids.*run snakemake --force data/prefetch/TABLE.json"
        ):
            fetch_files("new", source, members, data, None)
    assert len(server.requests) == before


def test_offline_variable_of_environment_is_honoured(
    data: Path, archive: FileSource, server: FakeServer, script: Callable[..., subprocess.Popen[str]]
) -> None:
    job = script(
        f"""
from pathlib import Path
from overtop.downloads.fetch import fetch_files
from overtop.config.sources import FileSource
fetch_files("coco", FileSource.model_validate_json({archive.model_dump_json()!r}), [], Path({str(data)!r}), None)
""",
        HF_HUB_OFFLINE="1",
    )
    assert "HF_HUB_OFFLINE forbids" in job.communicate()[1]
    assert server.requests == []


def test_file_needed_by_two_threads_is_downloaded_once(data: Path, archive: FileSource, server: FakeServer) -> None:
    server.faults["a.zip"] = Fault("slow", times=1, after=1000, seconds=0.2)
    paths: list[Path] = []
    jobs = [
        threading.Thread(target=lambda: paths.extend(fetch_files("coco", archive, [], data, None))) for _ in range(2)
    ]
    jobs[0].start()
    while not server.requests:
        time.sleep(0.01)
    jobs[1].start()
    for job in jobs:
        job.join()
    assert [path.read_bytes() == CONTENT for path in paths] == [True, True]
    assert len(server.requests) == 1


def test_file_needed_by_two_processes_is_downloaded_once(
    data: Path, archive: FileSource, server: FakeServer, script: Callable[..., subprocess.Popen[str]]
) -> None:
    server.faults["a.zip"] = Fault("slow", times=1, after=1000, seconds=1)
    code = f"""
from pathlib import Path
from overtop.downloads.fetch import fetch_files
from overtop.config.sources import FileSource
fetch_files("coco", FileSource.model_validate_json({archive.model_dump_json()!r}), [], Path({str(data)!r}), None)
"""
    jobs = [script(code) for _ in range(2)]
    assert [job.communicate()[1] for job in jobs] == ["", ""]
    assert len(server.requests) == 1
    assert list_files(data) == ["downloads/coco/a.zip", "lock.csv"]


def test_full_disk_is_one_line_error(data: Path, archive: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(partial_files, "sync_and_rename", raise_disk_full)
    with pytest.raises(OvertopError, match="a.zip: no space left on the disk"):
        fetch_files("coco", archive, [], data, None)
    assert "downloads/coco/a.zip" not in list_files(data)


@pytest.mark.parametrize(
    ("status", "kind"), [(503, UnavailableError), (429, UnavailableError), (403, OvertopError), (404, OvertopError)]
)
def test_only_a_server_that_may_answer_later_is_worth_another_attempt(
    data: Path, server: FakeServer, archive: FileSource, status: int, kind: type[OvertopError]
) -> None:
    server.faults["files/a.zip"] = Fault("status", status=status)
    with pytest.raises(OvertopError) as error:
        fetch_files("archive", archive, [], data, None)
    assert type(error.value) is kind


def test_file_that_a_repository_lacks_is_missing_and_not_unavailable(data: Path, repository: HubSource) -> None:
    with pytest.raises(MissingFileError):
        fetch_files("wds", repository, ["test/9.tar"], data, None)
