"""Sources and splits that a run would fetch, checked before it starts."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.pipeline.config_files import ConfigFile
from overtop.pipeline.loading import load_config
from overtop.pipeline.source_checks import check_sources

TARGET = "results/tables/mine.csv"


@pytest.fixture
def mirror(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    pd.DataFrame({"image": ["a.png", "b.png"], "caption": ["x", "y"]}).to_csv(photos / "captions.csv", index=False)
    pd.DataFrame({"image": ["a.png", "b.png"], "caption": ["x", "y"], "split": ["test", "val"]}).to_csv(
        photos / "divided.csv", index=False
    )
    (photos / "other.csv").write_text("id;text\n1;x\n")
    records = [{"split": split, "filename": "a.png"} for split in ("restval", "test")]
    (photos / "captions.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    np.savez(tmp_path / "a.npz", image=np.eye(3))
    (tmp_path / "log.csv").write_text("text\nx\n")
    return tmp_path


def check(mirror, entry, split="test"):
    datasets = {"mine": entry}
    config = load_config({"datasets": datasets, "posteriors": {}, "tables": {}, "mirror": mirror and str(mirror)})
    check_sources(config, {("mine", split): TARGET}, [ConfigFile("mine.yaml", {"datasets": datasets})])


@pytest.mark.parametrize(
    ("entry", "split"),
    [
        ({"kind": "shapes"}, "test"),
        ({"kind": "table", "source": "photos"}, "test"),
        ({"kind": "table", "source": "photos", "split": {"val": 0.5}}, "val"),
        ({"kind": "table", "source": "photos", "table": "divided.csv"}, "val"),
        ({"kind": "table", "source": "photos", "held_out": {"val": {"of": "test", "share": 0.5}}}, "val"),
        ({"kind": "karpathy", "source": "photos"}, "train"),
        ({"kind": "karpathy", "source": "nowhere", "routes": [{"kind": "shards", "shards": "coco"}]}, "test"),
        ({"kind": "embeddings", "splits": {"test": "a.npz"}}, "test"),
        ({"kind": "images", "source": "photos"}, "all"),
        ({"kind": "texts", "source": "log.csv"}, "all"),
        ({"kind": "classes", "files": {"layout": "folders", "source": "photos"}}, "test"),
    ],
)
def test_source_with_the_split_passes(mirror, monkeypatch, entry, split):
    monkeypatch.setattr("overtop.pipeline.checks._check_routes", lambda *_: ())
    check(mirror, entry, split)


@pytest.mark.parametrize(
    ("entry", "split", "line"),
    [
        (
            {"kind": "table", "source": "photoz"},
            "test",
            "mine.yaml: datasets.mine.source: HERE/photoz does not exist; correct `mirror` or the path",
        ),
        (
            {"kind": "table", "source": "photos", "table": "none.csv"},
            "test",
            "HERE/photos/none.csv is missing; write it, or name another file: datasets.mine.table",
        ),
        (
            {"kind": "table", "source": "photos"},
            "val",
            "HERE/photos/captions.csv has no split 'val'; its splits: test; draw it by shares, datasets.mine.split: "
            "{val: 0.2}",
        ),
        (
            {"kind": "table", "source": "photos", "table": "divided.csv"},
            "train",
            "HERE/photos/divided.csv has no split 'train'; its splits: test, val",
        ),
        (
            {"kind": "table", "source": "photos", "table": "other.csv"},
            "test",
            "HERE/photos/other.csv: no column 'image",
        ),
        (
            {"kind": "karpathy", "source": "photos"},
            "val",
            "HERE/photos/captions.jsonl has no split 'val'; its splits: restval, test",
        ),
        (
            {"kind": "karpathy", "source": "photos", "annotations": "none.json"},
            "test",
            "HERE/photos/none.json is missing; complete the source or correct `annotations`",
        ),
        (
            {"kind": "embeddings", "splits": {"test": "b.npz"}},
            "test",
            "mine.yaml: datasets.mine.splits.test: HERE/b.npz does not exist; correct `mirror` or the path",
        ),
        (
            {"kind": "embeddings", "splits": {"test": "a.npz"}},
            "val",
            "mine.yaml: datasets.mine.splits has no split 'val'; its splits: test",
        ),
        ({"kind": "images", "source": "none"}, "all", "mine.yaml: datasets.mine.source: HERE/none does not exist;"),
        (
            {"kind": "images", "source": "log.csv"},
            "all",
            "mine.yaml: datasets.mine.source: HERE/log.csv is not a fol",
        ),
        (
            {"kind": "texts", "source": "none.csv"},
            "all",
            "mine.yaml: datasets.mine.source: HERE/none.csv does not e",
        ),
        (
            {"kind": "huggingface", "source": "photos/x"},
            "test",
            "mine.yaml: datasets.mine.source: HERE/photos/x does",
        ),
        (
            {"kind": "classes", "files": {"layout": "folders", "source": "none"}},
            "test",
            "mine.yaml: datasets.mine.files.source: HERE/none does not exist;",
        ),
        (
            {"kind": "classes", "files": {"layout": "table", "source": "photos"}},
            "test",
            "HERE/photos/labels.csv is missing; write it, or correct datasets.mine.files.table",
        ),
    ],
)
def test_missing_source_or_split_is_one_line_with_its_fix(mirror, entry, split, line):
    with pytest.raises(OvertopError) as caught:
        check(mirror, entry, split)
    message = str(caught.value).replace(str(mirror), "HERE")
    assert message.startswith(line)
    assert message.endswith(f"(needed for {TARGET})")
    assert "\n" not in message


def test_missing_mirror_is_reported(monkeypatch):
    monkeypatch.delenv("OVERTOP_MIRROR", raising=False)
    with pytest.raises(OvertopError, match=r"^mine\.yaml: datasets\.mine\.source: 'p' is relative to the mirror, "):
        check(None, {"kind": "images", "source": "p"}, "all")


def test_all_missing_sources_are_reported_at_once(mirror):
    shutil.rmtree(mirror / "photos")
    datasets = {name: {"kind": "images", "source": name} for name in ("photos", "more")}
    config = load_config({"datasets": datasets, "posteriors": {}, "tables": {}, "mirror": str(mirror)})
    with pytest.raises(OvertopError) as caught:
        check_sources(config, {("photos", "all"): "x", ("more", "all"): "y"})
    assert [line.rpartition("(")[2] for line in str(caught.value).splitlines()] == ["needed for y)", "needed for x)"]
