"""A table of images and classes."""

import pandas as pd
import pytest

from overtop.errors import OvertopError

ROWS = [("b.png", "dog", "test"), ("a.png", "cat", "train"), ("c.png", "cat", "test"), ("b.png", " ant", "test")]
FILES = {"layout": "table", "source": "set"}


def write_table(source_files, rows=ROWS, columns=("image", "class", "split"), table="labels.csv"):
    folder = source_files.mirror / "set"
    folder.mkdir(exist_ok=True)
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes(name.encode())
    frame = pd.DataFrame(rows, columns=columns)
    if table.endswith(".parquet"):
        frame.to_parquet(folder / table)
    else:
        frame.to_csv(folder / table, index=False)
    return FILES | {"table": table}


@pytest.mark.parametrize("table", ["labels.csv", "labels.parquet"])
def test_classes_are_those_of_all_rows_and_an_image_may_have_several(source_files, table):
    files = write_table(source_files, table=table)
    test, train = (source_files.fetch_classes(files, split) for split in ("test", "train"))
    assert test.captions == train.captions == ["ant", "cat", "dog"]
    assert test.image_ids == ["b.png", "c.png"]
    assert [images.tolist() for images in test.labels] == [[0], [1], [0]]
    assert [images.tolist() for images in train.labels] == [[], [0], []]
    assert (source_files.data / test.image_paths[0]).read_bytes() == b"b.png"


def test_table_without_splits_is_the_test_split(source_files):
    files = write_table(source_files, [row[:2] for row in ROWS], ("image", "class"))
    assert source_files.fetch_classes(files).image_ids == ["a.png", "b.png", "c.png"]


def test_split_can_be_held_out_of_a_table(source_files):
    files = write_table(source_files, [row[:2] for row in ROWS], ("image", "class"))
    held_out = {"val": {"of": "test", "share": 0.3}}
    test, val = (source_files.fetch_classes(files, split, held_out=held_out).image_ids for split in ("test", "val"))
    assert (len(test), len(val)) == (2, 1)
    assert sorted(test + val) == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (
            ROWS,
            ("image", "kind", "split"),
            r"no column 'class' \(label\); its columns are 'image', 'kind', 'split'; rename",
        ),
        ([("a.png", " ", "test")], ("image", "class", "split"), r"image 'a\.png' has no class"),
        ([("a.png", None, "test")], ("image", "class", "split"), r"image 'a\.png' has no class"),
        ([("d.png", "cat", "test")], ("image", "class", "split"), r"d\.png is missing; complete the source"),
        ([("../d.png", "cat", "test")], ("image", "class", "split"), "points outside"),
        ([("a.png", "cat", "dev")], ("image", "class", "split"), r"labels\.csv has no split 'test'; its splits: dev"),
    ],
)
def test_mistake_in_the_table_is_one_line_error(source_files, rows, columns, message):
    files = write_table(source_files, rows, columns)
    with pytest.raises(OvertopError, match=message):
        source_files.fetch_classes(files)
