import pandas as pd
import pytest

from overtop.config.datasets import TableDataset
from overtop.datasets.raw import Context
from overtop.datasets.registry import read_checked
from overtop.datasets.table import fetch
from overtop.errors import OvertopError


def _read(tmp_path, frame, table="captions.csv", split="test"):
    source = tmp_path / "mine"
    source.mkdir(exist_ok=True)
    for image in set(frame.get("image", [])):
        (source / image).write_bytes(b"x")
    frame.to_csv(source / table, index=False) if table.endswith("csv") else frame.to_parquet(source / table)
    spec = TableDataset(kind="table", source=str(source), table=table)
    raw = tmp_path / "data" / "raw" / "mine" / split
    fetch("mine", spec, split, raw, Context(None, 0, tmp_path / "data", {}))
    return read_checked("mine", spec, raw, tmp_path / "data", split)


@pytest.mark.parametrize("table", ["captions.csv", "captions.parquet"])
def test_two_columns_are_enough(tmp_path, table):
    split = _read(tmp_path, pd.DataFrame({"image": ["a.png", "b.png", "a.png"], "caption": ["x", "y", "z"]}), table)
    assert split.image_paths == ["raw/mine/test/a.png", "raw/mine/test/b.png"]
    assert split.caption_ids == ["a.png#0", "a.png#1", "b.png#0"]
    assert split.captions == ["x", "z", "y"]
    assert split.extended is None


def test_known_positives_are_kept_with_the_own_image(tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "caption": ["x", "y"], "positives": ["b.png", None]})
    split = _read(tmp_path, frame)
    assert [p.tolist() for p in split.extended] == [[0, 1], [1]]


def test_a_split_column_selects_rows(tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "caption": ["x", "y"], "split": ["val", "test"]})
    assert _read(tmp_path, frame, split="val").captions == ["x"]
    raw = tmp_path / "data" / "raw" / "mine" / "val"
    assert sorted(path.name for path in raw.iterdir()) == ["a.png", "captions.csv"]
    with pytest.raises(OvertopError, match=r"mine/captions\.csv has no split 'train'; its splits: test, val"):
        _read(tmp_path, frame, split="train")


def test_an_image_name_cannot_leave_the_folder(tmp_path):
    with pytest.raises(OvertopError, match="outside"):
        _read(tmp_path, pd.DataFrame({"image": ["../secret.png"], "caption": ["x"]}))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"image": ["a.png"], "text": ["x"]}), "column 'caption' is missing"),
        (pd.DataFrame({"image": ["a.png"], "caption": [None]}), "'a.png#0' is empty"),
        (pd.DataFrame({"image": ["a.png"], "caption": ["x"], "positives": ["c.png"]}), "names 'c.png'"),
    ],
)
def test_a_wrong_table_is_one_clear_error(tmp_path, frame, message):
    with pytest.raises(OvertopError, match=message):
        _read(tmp_path, frame)
