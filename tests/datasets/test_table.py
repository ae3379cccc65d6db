import pandas as pd
import pytest

from overtop.config.datasets import TableDataset
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import read_raw_split
from overtop.datasets.table import fetch
from overtop.errors import OvertopError


def _fetch_and_read(tmp_path, frame, table="captions.csv", split="test"):
    source = tmp_path / "mine"
    source.mkdir(exist_ok=True)
    for image in filter(None, set(frame.get("image", pd.Series()).fillna(""))):
        (source / image).write_bytes(b"x")
    frame.to_csv(source / table, index=False) if table.endswith("csv") else frame.to_parquet(source / table)
    spec = TableDataset(kind="table", source=str(source), table=table)
    raw = tmp_path / "data" / "raw" / "mine" / split
    fetch("mine", spec, split, raw, FetchContext(None, 0, tmp_path / "data", {}))
    return read_raw_split("mine", spec, raw, tmp_path / "data", split)


def _fetch_again(tmp_path, **keys):
    spec = TableDataset(kind="table", source=str(tmp_path / "mine"), **keys)
    raw = tmp_path / "data" / "raw" / "mine" / "test"
    fetch("mine", spec, "test", raw, FetchContext(None, 0, tmp_path / "data", {}))
    return read_raw_split("mine", spec, raw, tmp_path / "data", "test")


@pytest.mark.parametrize("table", ["captions.csv", "captions.parquet"])
def test_table_with_required_columns_only_is_read(tmp_path, table):
    split = _fetch_and_read(
        tmp_path, pd.DataFrame({"image": ["a.png", "b.png", "a.png"], "caption": ["x", "y", "z"]}), table
    )
    assert split.image_paths == ["raw/mine/test/a.png", "raw/mine/test/b.png"]
    assert split.caption_ids == ["a.png#0", "a.png#1", "b.png#0"]
    assert split.captions == ["x", "z", "y"]
    assert split.extended is None


def test_positives_include_own_image(tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "caption": ["x", "y"], "positives": ["b.png", None]})
    split = _fetch_and_read(tmp_path, frame)
    assert [p.tolist() for p in split.extended] == [[0, 1], [1]]


@pytest.mark.parametrize("table", ["captions.csv", "captions.parquet"])
def test_empty_cells_are_unpaired_items(tmp_path, table):
    """Images without a caption keep their place; captions without an image are last."""
    rows = [("", "lost"), ("b.png", ""), ("a.png", "x"), ("b.png", ""), ("", "x"), ("a.png", "y")]
    frame = pd.DataFrame(rows, columns=["image", "caption"]).replace("", None)
    split = _fetch_and_read(tmp_path, frame, table)
    assert split.image_ids == ["b.png", "a.png"]
    assert (split.caption_ids, split.captions) == (["a.png#0", "a.png#1", "#0", "#1"], ["x", "y", "lost", "x"])
    assert split.image_of_caption.tolist() == [1, 1, -1, -1]


def test_unpaired_items_with_positives_and_ids_are_read(tmp_path):
    columns = {"image": ["a.png", "b.png", None], "caption": ["x", None, "y"], "positives": ["b.png", None, None]}
    split = _fetch_and_read(tmp_path, pd.DataFrame({**columns, "caption_id": ["one", "two", "three"]}))
    assert split.caption_ids == ["one", "three"]
    assert [images.tolist() for images in split.extended] == [[0, 1], []]


def test_image_with_caption_in_another_split_may_have_none_in_this_one(tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "a.png"], "caption": ["x", None], "split": ["val", "test"]})
    assert _fetch_and_read(tmp_path, frame).captions == []


@pytest.mark.parametrize("column", ["image", "caption"])
def test_table_of_one_modality_is_read(tmp_path, column):
    frame = pd.DataFrame({"image": [None, None], "caption": [None, None]}, dtype=object)
    frame[column] = ["a.png", "b.png"]
    split = _fetch_and_read(tmp_path, frame)
    assert (len(split.image_ids), len(split.captions)) == ((2, 0) if column == "image" else (0, 2))


def test_split_column_selects_rows(tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "caption": ["x", "y"], "split": ["val", "test"]})
    assert _fetch_and_read(tmp_path, frame, split="val").captions == ["x"]
    raw = tmp_path / "data" / "raw" / "mine" / "val"
    assert sorted(path.name for path in raw.iterdir()) == ["a.png", "captions.csv"]
    with pytest.raises(OvertopError, match=r"mine/captions\.csv has no split 'train'; its splits: test, val"):
        _fetch_and_read(tmp_path, frame, split="train")


def test_image_outside_folder_is_rejected(tmp_path):
    with pytest.raises(OvertopError, match="outside"):
        _fetch_and_read(tmp_path, pd.DataFrame({"image": ["../secret.png"], "caption": ["x"]}))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame({"image": ["a.png"], "words": ["x"]}),
            r"mine/captions\.csv: no column 'caption' \(captions, text, .*\); its columns are 'image', 'words'",
        ),
        (pd.DataFrame({"image": ["a.png", None], "caption": ["x", None]}), "row 2 has neither an image nor a caption"),
        (
            pd.DataFrame({"image": ["b.png", "a.png", "a.png"], "caption": ["x", " ", "y"]}),
            "row 2 has no caption, but its image 'a.png' has one",
        ),
        (
            pd.DataFrame({"image": ["a.png", None], "caption": ["x", "y"], "positives": [None, "a.png"]}),
            "caption 'y' has positives and no image",
        ),
        (pd.DataFrame({"image": ["a.png"], "caption": ["x"], "positives": ["c.png"]}), "lists 'c.png'"),
    ],
)
def test_invalid_table_is_one_line_error(tmp_path, frame, message):
    with pytest.raises(OvertopError, match=message):
        _fetch_and_read(tmp_path, frame)


def test_words_for_missing_values_are_captions_and_ids(tmp_path):
    columns = {"image": ["a.png"] * 4, "caption": ["NA", "None", "null", "nan"], "caption_id": ["NA", "n/a", "7", "07"]}
    split = _fetch_and_read(tmp_path, pd.DataFrame(columns))
    assert (split.captions, split.caption_ids) == (columns["caption"], columns["caption_id"])


def test_two_spellings_of_one_image_are_rejected(tmp_path):
    with pytest.raises(OvertopError, match=r"'\./a\.png' and 'a\.png' are one file"):
        _fetch_and_read(tmp_path, pd.DataFrame({"image": ["a.png", "./a.png"], "caption": ["x", "y"]}))


@pytest.mark.parametrize("names", [("filename", "text"), ("file_name", "sentence")])
def test_usual_names_of_columns_are_known(tmp_path, names):
    frame = pd.DataFrame({"image": ["a.png"], "caption": ["x"]})
    _fetch_and_read(tmp_path, frame)
    frame.set_axis(names, axis=1).to_csv(tmp_path / "mine" / "captions.csv", index=False)
    assert _fetch_again(tmp_path).captions == ["x"]


def test_columns_of_other_names_are_named_in_the_entry(tmp_path):
    _fetch_and_read(tmp_path, pd.DataFrame({"image": ["a.png"], "caption": ["x"]}))
    (tmp_path / "mine/captions.csv").write_text("photo,alt,image\na.png,y,b.png\n")
    assert _fetch_again(tmp_path, columns={"image": "photo", "caption": "alt"}).captions == ["y"]
    with pytest.raises(OvertopError, match=r"no column 'title', which `columns\.caption` names; its columns"):
        _fetch_again(tmp_path, columns={"caption": "title"})


def test_columns_may_be_separated_by_semicolons(tmp_path):
    _fetch_and_read(tmp_path, pd.DataFrame({"image": ["a.png"], "caption": ["x"]}))
    (tmp_path / "mine/captions.csv").write_text('image;caption\na.png;a dog, a cat\na.png;"one; two"\n')
    assert _fetch_again(tmp_path).captions == ["a dog, a cat", "one; two"]


def test_unquoted_comma_is_named_with_its_line_in_the_own_file(tmp_path):
    _fetch_and_read(tmp_path, pd.DataFrame({"image": ["a.png"], "caption": ["x"]}))
    (tmp_path / "mine/captions.csv").write_text("image,caption\na.png,a dog, a cat\n")
    message = r"mine/captions\.csv, line 2: has 3 fields, but there are 2 columns; put texts that contain commas"
    with pytest.raises(OvertopError, match=rf"^{tmp_path}/{message}"):
        _fetch_again(tmp_path)


def test_mistake_in_rows_names_the_own_file(tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "caption": ["x", "y"], "caption_id": ["1", "1"]})
    with pytest.raises(OvertopError, match=rf"^{tmp_path}/mine/captions\.csv: caption id '1' occurs more than once"):
        _fetch_and_read(tmp_path, frame)


def test_missing_table_is_named_with_its_key(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(OvertopError, match=r"mine/captions\.csv is missing; .* datasets\.mine\.table$"):
        _fetch_again(tmp_path)


def test_shares_of_a_table_with_splits_are_rejected(tmp_path):
    _fetch_and_read(tmp_path, pd.DataFrame({"image": ["a.png"], "caption": ["x"], "split": ["test"]}))
    with pytest.raises(OvertopError, match=r"has a column 'split'; remove it, or datasets\.mine\.split"):
        _fetch_again(tmp_path, split={"val": 0.5})


def test_images_in_a_folder_of_their_own_keep_the_names_of_the_table(tmp_path):
    """The layout of Flickr8k: images in a folder, and a table with their names beside it."""
    (tmp_path / "mine/photos").mkdir(parents=True)
    (tmp_path / "mine/photos/a.png").write_bytes(b"x")
    (tmp_path / "mine/captions.txt").write_text("image,caption\na.png,x\n")
    split = _fetch_again(tmp_path, table="captions.txt", images="photos")
    assert (split.image_ids, split.image_paths) == (["a.png"], ["raw/mine/test/photos/a.png"])
