"""Every data set of docs/own-data.md is read from files as the page describes them."""

import pytest
from pydantic import TypeAdapter

from helpers.own_data import N, entries_of_page, write_everything
from overtop.config.datasets import StoredDatasetSpec
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split, read_raw_split


def test_every_data_set_of_the_page_is_read(repo, tmp_path):
    data = tmp_path / "data"
    write_everything(data)
    entries = entries_of_page(repo, data)
    assert {"table", "huggingface", "classes", "embeddings", "images", "texts"} == {e["kind"] for e in entries.values()}
    context = FetchContext(None, 0, tmp_path / "own", {})
    sizes = {}
    for name, entry in entries.items():
        spec = TypeAdapter(StoredDatasetSpec).validate_python(entry)
        for split in spec.split_names() or ["test", *spec.held_out_splits()]:
            raw = tmp_path / "own" / "raw" / name / split
            fetch_split(name, spec, split, raw, context)
            result = read_raw_split(name, spec, raw, tmp_path / "own", split)
            sizes[name, split] = max(len(result.image_ids), len(result.captions))
    assert sizes["mine", "val"] == 4
    assert [sizes["mine-divided", split] for split in ("train", "val", "test")] == [10, 4, 6]
    assert sizes["saved", "val"] == 8
    assert sizes["image-folder", "test"] == N
    assert sizes["deployed", "test"] == N
    assert sizes["mine-clip", "bank"] == N // 2
    assert sizes["queries", "all"] == 2


@pytest.mark.parametrize("split", ["val", "train"])
def test_splits_of_image_folder_have_our_names(repo, tmp_path, split):
    write_everything(tmp_path / "data")
    spec = TypeAdapter(StoredDatasetSpec).validate_python(entries_of_page(repo, tmp_path / "data")["image-folder"])
    raw = tmp_path / "own" / "raw" / "x" / split
    fetch_split("x", spec, split, raw, FetchContext(None, 0, tmp_path / "own", {}))
    assert len(read_raw_split("x", spec, raw, tmp_path / "own", split).image_ids) == N
