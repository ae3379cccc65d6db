import numpy as np
import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.storage.split import Split, from_rows, read_split, write_split


def _split(**changes):
    whole = {
        "image_ids": ["a", "b"],
        "image_paths": ["raw/x/a.png", "raw/x/b.png"],
        "caption_ids": ["a#0", "a#1", "b#0"],
        "captions": ["one", "two", "three"],
        "image_of_caption": np.array([0, 0, 1]),
    }
    return Split(**{**whole, **changes})


@pytest.mark.parametrize(
    "extra",
    [{}, {"extended": [np.array([0]), np.array([0, 1]), np.array([1])], "levels": ["exact", "vague", "exact"]}],
)
def test_a_split_reads_back_as_written(tmp_path, extra):
    split = _split(**extra)
    write_split(tmp_path / "s.parquet", split)
    back = read_split(tmp_path / "s.parquet")
    assert (back.image_ids, back.image_paths) == (split.image_ids, split.image_paths)
    assert (back.caption_ids, back.captions, back.levels) == (split.caption_ids, split.captions, split.levels)
    np.testing.assert_array_equal(back.image_of_caption, split.image_of_caption)
    assert (back.extended is None) == (split.extended is None)
    for mine, theirs in zip(split.extended or [], back.extended or [], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_rows_in_any_order_become_captions_by_image():
    frame = pd.DataFrame(
        {"image_id": ["b", "a", "b"], "image_path": ["b", "a", "b"], "caption_id": ["b0", "a0", "b1"], "caption": "x"}
    )
    split = from_rows(frame)
    assert split.image_ids == ["b", "a"]
    assert split.caption_ids == ["b0", "b1", "a0"]
    assert split.image_of_caption.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"captions": ["one", " ", "three"]}, "'a#1' is empty"),
        ({"caption_ids": ["a#0", "a#0", "b#0"]}, "caption id 'a#0' occurs more than once"),
        ({"image_ids": ["a", "a"]}, "image id 'a' occurs more than once"),
        ({"image_of_caption": np.array([0, 0, 0])}, "image 'b' has no caption"),
        ({"image_of_caption": np.array([1, 0, 0])}, "ordered by image"),
    ],
)
def test_a_wrong_split_is_one_clear_error(changes, message):
    with pytest.raises(OvertopError, match=message):
        _split(**changes)


def test_the_error_of_a_file_names_the_file(tmp_path):
    write_split(tmp_path / "s.parquet", _split())
    frame = pd.read_parquet(tmp_path / "s.parquet")
    frame.loc[1, "caption"] = ""
    frame.to_parquet(tmp_path / "s.parquet")
    with pytest.raises(OvertopError, match=r"s\.parquet: caption 'a#1' is empty"):
        read_split(tmp_path / "s.parquet")
