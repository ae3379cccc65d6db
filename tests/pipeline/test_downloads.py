"""What a run downloads, from the committed configuration."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from helpers.pipeline import read_committed_config
from overtop.errors import OvertopError
from overtop.pipeline.downloads import Download, check_disk, describe_downloads, pending_downloads
from overtop.pipeline.job_logs import ended_with_error
from overtop.pipeline.loading import load_config

SPLITS = [("mscoco", "test"), ("mscoco", "val"), ("flickr30k", "test"), ("shapes", "test")]


@pytest.fixture
def config(repo):
    return load_config(read_committed_config(repo))


def test_first_route_of_each_split_and_all_weights_are_downloaded(config, tmp_path):
    downloads = pending_downloads(config, SPLITS, ["b32-openai", "b32-openai-gelu", "l14-openai"], tmp_path)
    names = [str(download.path.relative_to(tmp_path / "downloads")) for download in downloads]
    assert names[0] == "karpathy-splits/caption_datasets.zip"
    assert {"coco-shards", "flickr30k-shards", "coco-val2014/val2014.zip", "ViT-B-32--openai", "ViT-L-14--openai"} <= {
        *names
    }
    assert len(names) == len(set(names))
    archive = next(each for each in downloads if each.path.name == "val2014.zip")
    assert archive.bytes == config.sources["coco-val2014"].bytes
    assert archive.addresses == tuple(config.sources["coco-val2014"].addresses)


def test_file_that_exists_is_not_downloaded(config, tmp_path):
    (tmp_path / "downloads/coco-val2014").mkdir(parents=True)
    (tmp_path / "downloads/coco-val2014/val2014.zip").touch()
    (tmp_path / "downloads/ViT-B-32--openai").mkdir()
    names = {each.path.name for each in pending_downloads(config, [("mscoco", "val")], ["b32-openai"], tmp_path)}
    assert names == {"caption_datasets.zip"}


def test_generated_data_need_no_download(config, tmp_path):
    assert pending_downloads(config, [("shapes", "test")], [], tmp_path) == []


def test_full_disk_is_found_before_the_download(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**12, 10**12 - 10**10, 10**10))
    downloads = [Download(tmp_path / "a.zip", 6 * 10**9, ("x",)), Download(tmp_path / "b.zip", 5 * 10**9, ("x",))]
    check_disk(downloads[:1], tmp_path)
    with pytest.raises(
        OvertopError, match=r"data: the run downloads at least 11\.0 GB, and 10\.0 GB are free; .* link"
    ):
        check_disk(downloads, tmp_path / "data")


def test_list_has_the_address_size_and_place_of_every_file():
    files = [Download(Path("data/downloads/a/a.zip"), 6_600_000_000, ("https://a", "https://b"))]
    files.append(Download(Path("data/downloads/b"), None, ("https://hub/b",)))
    lines = list(describe_downloads(files))
    assert lines[0].startswith("Not downloaded yet: 2 files or repositories, 6.6 GB of known size.")
    assert lines[1:] == [
        "  data/downloads/a/a.zip (6.60 GB): https://a or https://b",
        "  data/downloads/b (size unknown): https://hub/b",
    ]
    assert list(describe_downloads([])) == []


@pytest.mark.parametrize(
    ("name", "is_error"), [("overtop.refused", True), ("overtop.unavailable", True), ("root", False)]
)
def test_errors_that_a_user_can_read_are_found_in_the_log(tmp_path, name, is_error):
    log = tmp_path / "fetch.log"
    log.write_text(f"2026-01-01 00:00:00 INFO root: start\n2026-01-01 00:00:01 ERROR {name}: no answer\n")
    assert ended_with_error([str(log)], since=0) is is_error
    assert not ended_with_error([str(log)], since=2e10)
    assert not ended_with_error([str(tmp_path / "none.log")], since=0)
