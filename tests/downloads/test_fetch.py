import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from downloads.content import CONTENT, SHA256, WRONG, left
from helpers.standin import Fault, Standin
from overtop.config.sources import FileSource, FolderSource, HubSource
from overtop.downloads import http as transfer
from overtop.downloads.fetch import bring
from overtop.errors import OvertopError

HUB = HubSource(kind="hub", repo="clip-benchmark/wds", licence="none")
BY_HAND = FileSource(
    kind="file", addresses=[], file="flickr.zip", licence="research only", terms="the form at https://flickr.example"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def archive(standin: Standin) -> FileSource:
    standin.put("files/a.zip", CONTENT)
    return FileSource(
        kind="file", addresses=[f"{standin.url}/files/a.zip"], file="a.zip", licence="CC BY 4.0", sha256=SHA256
    )


@pytest.fixture
def repository(standin: Standin) -> HubSource:
    standin.put("hub/datasets/clip-benchmark/wds/test/0.tar", CONTENT)
    standin.put("hub/datasets/clip-benchmark/wds/test/nshards.txt", b"1\n")
    return HUB


def undeclared(source: FileSource) -> FileSource:
    return source.model_copy(update={"sha256": None})


def test_a_file_is_fetched_once_and_recorded(data: Path, archive: FileSource, standin: Standin) -> None:
    target = data / "downloads" / "coco" / "a.zip"
    assert bring("coco", archive, [], data, None) == bring("coco", archive, [], data, None) == [target]
    assert target.read_bytes() == CONTENT
    assert len(standin.requests) == 1
    assert (data / "lock.csv").read_text() == f"name,file,bytes,sha256\ncoco,a.zip,{len(CONTENT)},{SHA256}\n"
    assert left(data) == ["downloads/coco/a.zip", "lock.csv"]


def test_members_of_a_repository_in_their_order(data: Path, repository: HubSource, standin: Standin) -> None:
    members = ["test/nshards.txt", "test/0.tar"]
    paths = bring("coco", repository, members, data, None)
    assert paths == [data / "downloads" / "coco" / member for member in members]
    assert [path.stat().st_size for path in paths] == [2, len(CONTENT)]
    before = len(standin.requests)
    assert bring("coco", repository, members, data, None) == paths
    assert len(standin.requests) == before
    assert left(data) == ["downloads/coco/test/0.tar", "downloads/coco/test/nshards.txt", "lock.csv"]


def test_members_of_a_folder_lie_where_they_lay(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror" / "wds" / "test").mkdir(parents=True)
    (tmp_path / "mirror" / "wds" / "test" / "0.tar").write_bytes(CONTENT)
    inside = FolderSource(kind="folder", path="wds")
    absolute = FolderSource(kind="folder", path=str(tmp_path / "mirror" / "wds"))
    path = tmp_path / "mirror" / "wds" / "test" / "0.tar"
    assert bring("coco", inside, ["test/0.tar"], data, str(tmp_path / "mirror")) == [path]
    assert bring("coco", absolute, ["test/0.tar"], data, None) == [path]
    assert not data.exists()
    with pytest.raises(OvertopError, match=r"1.tar is missing"):
        bring("coco", absolute, ["test/1.tar"], data, None)
    with pytest.raises(OvertopError, match="no mirror is set"):
        bring("coco", inside, ["test/0.tar"], data, None)
    with pytest.raises(OvertopError, match="there is no folder"):
        bring("coco", inside, ["test/0.tar"], data, str(tmp_path / "elsewhere"))


def test_a_path_out_of_the_folder_is_refused(data: Path, repository: HubSource) -> None:
    for member in ("../other/a.zip", "/etc/passwd"):
        with pytest.raises(OvertopError, match="points outside"):
            bring("coco", repository, [member], data, None)


def test_wrong_bytes_are_told_and_not_kept(data: Path, archive: FileSource, standin: Standin) -> None:
    standin.faults["a.zip"] = Fault("wrong_bytes", times=1)
    with pytest.raises(OvertopError) as error:
        bring("coco", archive, [], data, None)
    words = ["sources.coco: ", archive.addresses[0], WRONG, SHA256, str(data / "downloads" / "coco" / "a.zip")]
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)
    assert left(data) == []
    assert bring("coco", archive, [], data, None)[0].read_bytes() == CONTENT


def test_a_file_that_others_changed_since(data: Path, archive: FileSource, standin: Standin) -> None:
    (path,) = bring("coco", undeclared(archive), [], data, None)
    path.unlink()
    standin.put("files/a.zip", CONTENT[::-1])
    with pytest.raises(OvertopError, match=rf"expected {SHA256} \(.*lock.csv, row coco,a.zip\)"):
        bring("coco", undeclared(archive), [], data, None)
    assert left(data) == ["lock.csv"]


def test_a_file_that_was_damaged_here(data: Path, archive: FileSource) -> None:
    (path,) = bring("coco", undeclared(archive), [], data, None)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(OvertopError, match=r"lock.csv, row coco,a.zip, says .* remove the file"):
        bring("coco", undeclared(archive), [], data, None)
    with pytest.raises(OvertopError, match=r"a.zip has sha256 .* expected .* \(sources.coco in config.yaml\)"):
        bring("coco", archive, [], data, None)


def test_config_and_lock_disagree(data: Path, archive: FileSource, standin: Standin) -> None:
    bring("coco", archive, [], data, None)
    other = archive.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(OvertopError, match=r"lock.csv, row coco,a.zip disagrees with config.yaml"):
        bring("coco", other, [], data, None)


def test_a_file_put_there_by_hand_is_recorded(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OvertopError) as error:
        bring("flickr", BY_HAND, [], data, None)
    target = data / "downloads" / "flickr" / "flickr.zip"
    assert str(error.value) == (
        "sources.flickr: flickr.zip is not fetched by itself; accept the terms (the form at https://flickr.example), "
        f"then put the file at {target} by hand"
    )
    (tmp_path / "flickr.zip").write_bytes(CONTENT)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(tmp_path / "flickr.zip")  # as people do with large archives
    assert bring("flickr", BY_HAND, [], data, None) == [target]
    assert f"flickr,flickr.zip,{len(CONTENT)},{SHA256}" in (data / "lock.csv").read_text()


def test_another_file_put_there_by_hand_is_refused(data: Path) -> None:
    target = data / "downloads" / "flickr" / "flickr.zip"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"a page that says no")
    with pytest.raises(OvertopError, match=r"flickr.zip has bytes 19, expected 20 \(sources.flickr in config.yaml\)"):
        bring("flickr", BY_HAND.model_copy(update={"bytes": 20}), [], data, None)
    assert not (data / "lock.csv").exists()


def test_a_repository_that_wants_its_terms_accepted(data: Path, repository: HubSource, standin: Standin) -> None:
    standin.faults["0.tar"] = Fault("status", status=403, headers={"X-Error-Code": "GatedRepo"})
    source = repository.model_copy(update={"terms": "non-commercial"})
    with pytest.raises(OvertopError) as error:
        bring("coco", source, ["test/0.tar"], data, None)
    assert str(error.value) == (
        f"sources.coco: {standin.url}/datasets/clip-benchmark/wds is gated: accept its terms on that page, then "
        "`hf auth login` or set HF_TOKEN; accept the terms (non-commercial), then put the file at "
        f"{data}/downloads/coco/test/0.tar by hand"
    )


def test_offline_what_is_there_is_used(
    data: Path, archive: FileSource, repository: HubSource, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring("coco", archive, [], data, None)
    bring("wds", repository, ["test/0.tar"], data, None)
    before = len(standin.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert bring("coco", archive, [], data, None)
    assert bring("wds", repository, ["test/0.tar"], data, None)
    for source, members in ((archive, []), (repository, ["test/nshards.txt"])):
        with pytest.raises(OvertopError, match=r"HF_HUB_OFFLINE forbids.*run snakemake data/prefetch/TABLE.json"):
            bring("new", source, members, data, None)
    assert len(standin.requests) == before


def test_the_environment_says_offline(
    data: Path, archive: FileSource, standin: Standin, script: Callable[..., subprocess.Popen[str]]
) -> None:
    job = script(
        f"""
from pathlib import Path
from overtop.downloads.fetch import bring
from overtop.config.sources import FileSource
bring("coco", FileSource.model_validate_json({archive.model_dump_json()!r}), [], Path({str(data)!r}), None)
""",
        HF_HUB_OFFLINE="1",
    )
    assert "HF_HUB_OFFLINE forbids" in job.communicate()[1]
    assert standin.requests == []


def test_two_jobs_download_once(data: Path, archive: FileSource, standin: Standin) -> None:
    standin.faults["a.zip"] = Fault("slow", times=1, after=1000, seconds=0.2)
    brought: list[Path] = []
    jobs = [threading.Thread(target=lambda: brought.extend(bring("coco", archive, [], data, None))) for _ in range(2)]
    jobs[0].start()
    while not standin.requests:
        time.sleep(0.01)
    jobs[1].start()
    for job in jobs:
        job.join()
    assert [path.read_bytes() == CONTENT for path in brought] == [True, True]
    assert len(standin.requests) == 1


def test_two_processes_download_once(
    data: Path, archive: FileSource, standin: Standin, script: Callable[..., subprocess.Popen[str]]
) -> None:
    standin.faults["a.zip"] = Fault("slow", times=1, after=1000, seconds=1)
    code = f"""
from pathlib import Path
from overtop.downloads.fetch import bring
from overtop.config.sources import FileSource
bring("coco", FileSource.model_validate_json({archive.model_dump_json()!r}), [], Path({str(data)!r}), None)
"""
    jobs = [script(code) for _ in range(2)]
    assert [job.communicate()[1] for job in jobs] == ["", ""]
    assert len(standin.requests) == 1
    assert left(data) == ["downloads/coco/a.zip", "lock.csv"]


def test_a_disk_that_fills_up(data: Path, archive: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "publish", full)
    with pytest.raises(OvertopError, match="no space left to fetch it"):
        bring("coco", archive, [], data, None)
    assert "downloads/coco/a.zip" not in left(data)
