import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from overtop.errors import OvertopError
from overtop.storage.split import EccvJudgments, Split, read_split, split_from_frame, split_from_labels, write_split
from overtop.storage.tables import write_arrow, write_table


def _split(**changes):
    arguments = {
        "image_ids": ["a", "b"],
        "image_paths": ["raw/x/a.png", "raw/x/b.png"],
        "caption_ids": ["a#0", "a#1", "b#0"],
        "captions": ["one", "two", "three"],
        "image_of_caption": np.array([0, 0, 1]),
    }
    return Split(**{**arguments, **changes})


@pytest.mark.parametrize(
    "extra",
    [{}, {"extended": [np.array([0]), np.array([0, 1]), np.array([1])], "levels": ["exact", "vague", "exact"]}],
)
def test_split_after_round_trip_is_equal(tmp_path, extra):
    split = _split(**extra)
    write_split(tmp_path / "s.parquet", split)
    result = read_split(tmp_path / "s.parquet")
    assert (result.image_ids, result.image_paths) == (split.image_ids, split.image_paths)
    assert (result.caption_ids, result.captions, result.levels) == (split.caption_ids, split.captions, split.levels)
    np.testing.assert_array_equal(result.image_of_caption, split.image_of_caption)
    assert (result.extended is None) == (split.extended is None)
    for expected, positives in zip(split.extended or [], result.extended or [], strict=True):
        np.testing.assert_array_equal(positives, expected)


def test_judgments_after_round_trip_are_equal(tmp_path):
    positives = [np.array([0, 1]), np.array([], dtype=np.int64), np.array([0])]
    judgments = EccvJudgments(positives, np.array([True, False, False]), np.array([False, True]))
    write_split(tmp_path / "s.parquet", _split(eccv=judgments))
    result = read_split(tmp_path / "s.parquet").eccv
    assert [images.tolist() for images in result.positives] == [[0, 1], [], [0]]
    assert result.judged_captions.tolist() == [True, False, False]
    assert result.judged_images.tolist() == [False, True]
    write_split(tmp_path / "s.parquet", _split())
    assert read_split(tmp_path / "s.parquet").eccv is None


def test_absent_images_after_round_trip_are_equal(tmp_path):
    write_split(tmp_path / "s.parquet", _split(absent=np.array([False, True])))
    assert pd.read_parquet(tmp_path / "s.parquet")["absent"].tolist() == [False, False, True]
    assert read_split(tmp_path / "s.parquet").absent.tolist() == [False, True]


def test_split_with_complete_galleries_has_no_column_of_absent_images(tmp_path):
    """So that the files of other data sets stay as they were."""
    write_split(tmp_path / "s.parquet", _split())
    assert "absent" not in pd.read_parquet(tmp_path / "s.parquet")
    assert read_split(tmp_path / "s.parquet").absent is None


def test_rows_in_any_order_are_sorted_by_image():
    frame = pd.DataFrame(
        {"image_id": ["b", "a", "b"], "image_path": ["b", "a", "b"], "caption_id": ["b0", "a0", "b1"], "caption": "x"}
    )
    split = split_from_frame(frame)
    assert split.image_ids == ["b", "a"]
    assert split.caption_ids == ["b0", "b1", "a0"]
    assert split.image_of_caption.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"captions": ["one", " ", "three"]}, "'a#1' is empty"),
        ({"caption_ids": ["a#0", "a#0", "b#0"]}, "caption id 'a#0' occurs more than once"),
        ({"image_ids": ["a", "a"]}, "image id 'a' occurs more than once"),
        ({"image_of_caption": np.array([1, 0, 0])}, "ordered by image"),
        ({"image_of_caption": np.array([0, -1, 1])}, "those of no image last"),
    ],
)
def test_invalid_split_is_one_line_error(changes, message):
    with pytest.raises(OvertopError, match=message):
        _split(**changes)


def test_invalid_split_file_is_named_in_error(tmp_path):
    write_split(tmp_path / "s.parquet", _split())
    frame = pd.read_parquet(tmp_path / "s.parquet")
    frame.loc[1, "caption"] = ""
    write_table(tmp_path / "s.parquet", frame)
    with pytest.raises(OvertopError, match=r"s\.parquet: caption 'a#1' is empty"):
        read_split(tmp_path / "s.parquet")


def make_unpaired(**changes):
    """Images a to d, of which b and d have no caption, and two captions at the end that have no image."""
    arguments = {
        "image_ids": list("abcd"),
        "image_paths": [f"{name}.png" for name in "abcd"],
        "caption_ids": ["a#0", "c#0", "c#1", "#0", "#1"],
        "captions": ["one", "two", "three", "four", "five"],
        "image_of_caption": np.array([0, 2, 2, -1, -1]),
    }
    return Split(**{**arguments, **changes})


PER_ITEM = {
    "extended": [np.array([0, 1]), np.array([2]), np.array([1, 2, 3]), np.array([], int), np.array([], int)],
    "levels": ["exact", "vague", "exact", "vague", "exact"],
    "absent": np.array([False, True, True, False]),
    "eccv": EccvJudgments(
        [np.array([1]), np.array([], int), np.array([0, 3]), np.array([2]), np.array([], int)],
        np.array([True, False, True, False, True]),
        np.array([False, True, False, True]),
    ),
}
"""Values of the images and captions of `make_unpaired`."""


def plain_values(split):
    """Everything that a split holds, as lists."""
    values = vars(split) | (vars(split.eccv) if split.eccv else {}) | {"eccv": None}
    return {
        name: [list(item) if isinstance(item, np.ndarray) else item for item in value]
        if isinstance(value, list | np.ndarray)
        else value
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        PER_ITEM,
        {"is_sample": True},
        {"caption_ids": [], "captions": [], "image_of_caption": np.empty(0, np.int64)},
        {"image_ids": [], "image_paths": [], "image_of_caption": np.full(5, -1)},
    ],
)
def test_unpaired_items_after_round_trip_are_equal(tmp_path, changes):
    split = make_unpaired(**changes)
    write_split(tmp_path / "s.parquet", split)
    assert plain_values(read_split(tmp_path / "s.parquet")) == plain_values(split)


def test_row_of_unpaired_item_is_null_where_nothing_is_known(tmp_path):
    write_split(tmp_path / "s.parquet", make_unpaired())
    rows = pd.read_parquet(tmp_path / "s.parquet")[["image_id", "image_path", "caption_id", "caption"]]
    assert rows.astype(object).where(rows.notna(), None).to_numpy().tolist() == [
        ["a", "a.png", "a#0", "one"],
        ["b", "b.png", None, None],
        ["c", "c.png", "c#0", "two"],
        ["c", "c.png", "c#1", "three"],
        ["d", "d.png", None, None],
        [None, None, "#0", "four"],
        [None, None, "#1", "five"],
    ]


def test_file_of_complete_split_has_the_bytes_of_its_table(tmp_path):
    """So that nothing is made again for data sets in which nothing is unpaired."""
    names = {"image_id": ["a", "a", "b"], "image_path": ["raw/x/a.png", "raw/x/a.png", "raw/x/b.png"]}
    texts = {"caption_id": ["a#0", "a#1", "b#0"], "caption": ["one", "two", "three"]}
    string, lists = pa.string(), pa.list_(pa.string())
    types = {"image_id": string, "image_path": string, "caption_id": string, "caption": string}
    schema = pa.schema({**types, "positives": lists, "level": string, "absent": pa.bool_()})
    columns = {**names, **texts, "positives": [None] * 3, "level": pa.nulls(3), "absent": np.array([0, 0, 1], bool)}
    write_arrow(tmp_path / "expected.parquet", pa.table(columns, schema=schema))
    write_split(tmp_path / "s.parquet", _split(absent=np.array([False, True])))
    assert (tmp_path / "s.parquet").read_bytes() == (tmp_path / "expected.parquet").read_bytes()


def test_unpaired_items_are_told_from_pairs():
    split = make_unpaired()
    assert split.has_caption.tolist() == [True, False, True, False]
    assert split.has_image.tolist() == [True, True, True, False, False]
    assert [images.tolist() for images in split.positives] == [[0], [2], [2], [], []]
    assert split.image_rows(["#1", "c#1", "a#0"], ["c", "d"]).tolist() == [-1, 0, -1]


def test_selection_keeps_all_captions_of_its_images():
    images, captions = np.array([False, True, True, True]), np.array([True, False, False, False, True])
    part = make_unpaired(**PER_ITEM).select(images, captions)
    assert (part.image_ids, part.image_paths) == (["b", "c", "d"], ["b.png", "c.png", "d.png"])
    assert (part.caption_ids, part.captions) == (["c#0", "c#1", "#1"], ["two", "three", "five"])
    assert part.image_of_caption.tolist() == [1, 1, -1]
    assert [positives.tolist() for positives in part.extended] == [[1], [0, 1, 2], []]
    assert [positives.tolist() for positives in part.eccv.positives] == [[], [2], []]
    assert (part.levels, part.absent.tolist()) == (["vague", "exact", "exact"], [True, True, False])
    assert part.eccv.judged_captions.tolist() == [False, True, True]
    assert part.eccv.judged_images.tolist() == [True, False, True]


def test_image_rows_follow_order_of_given_images():
    split = _split()
    rows = split.image_rows(["b#0", "a#1", "a#0"], ["b", "a"])
    assert rows.tolist() == [0, 1, 1]
    assert rows.dtype == np.int64


def test_image_rows_of_images_not_listed_are_minus_one():
    split = _split()
    assert split.image_rows(split.caption_ids, ["b"]).tolist() == [-1, -1, 0]
    assert split.image_rows(split.caption_ids, []).tolist() == [-1, -1, -1]


def test_image_rows_of_no_captions_are_empty():
    rows = _split().image_rows([], ["a", "b"])
    assert (rows.shape, rows.dtype) == ((0,), np.int64)


def test_image_rows_of_unknown_caption_is_one_line_error():
    with pytest.raises(OvertopError, match="caption 'c#0' is not in the split; embed the split again"):
        _split().image_rows(["a#0", "c#0"], ["a", "b"])


def classes_split(**changes):
    values = {
        "image_ids": ["a", "b", "c"],
        "image_paths": ["a.png", "b.png", "c.png"],
        "classes_of_image": [[2], [0, 2], [2, 2]],
        "names": ["crane", "organ", "crane"],
        "templates": ["a photo of a {c}.", "a drawing of a {c}."],
    }
    return split_from_labels(**(values | changes))


def test_split_of_classes_is_read_as_written(tmp_path):
    split = classes_split()
    assert [images.tolist() for images in split.labels] == [[1], [], [0, 1, 2]]
    assert (split.caption_ids, split.captions) == (["0", "1", "2"], ["crane", "organ", "crane"])
    write_split(tmp_path / "split.parquet", split)
    read = read_split(tmp_path / "split.parquet")
    for name in ("image_ids", "image_paths", "caption_ids", "captions", "templates", "directions"):
        assert getattr(read, name) == getattr(split, name), name
    assert all(np.array_equal(*pair) for pair in zip(read.labels, split.labels, strict=True))
    assert read.is_classes
    assert read.directions == ("i2t",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes_of_image": [[2], [3], [0]]}, "image 'b' has class 3, but classes are 0 to 2"),
        ({"classes_of_image": [[2], [-1], [0]]}, "image 'b' has class -1"),
        ({"classes_of_image": [[2], [], [0]]}, "image 'b' has no class"),
        ({"names": ["crane", " ", "organ"]}, "class 1 has no name"),
        ({"templates": []}, "needs templates with {c}"),
        ({"templates": ["a photo of a {}."]}, "needs templates with {c}"),
        ({"image_ids": ["a", "b", "a"]}, "image id 'a' occurs more than once"),
    ],
)
def test_split_of_classes_with_a_mistake_is_rejected(changes, message):
    with pytest.raises(OvertopError, match=message):
        classes_split(**changes)
