"""Folders of Hugging Face's library `datasets`; the last test compares with the library where it is installed."""

import io
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from helpers.saved_datasets import image_table, save_on_hub, save_splits_to_disk, save_to_disk, write_image_folder
from overtop.config.datasets import HuggingFaceDataset
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.errors import OvertopError


def png(number):
    content = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(content, "PNG")
    return content.getvalue()


IMAGES = [png(number) for number in range(4)]
NAMES = [f"{letter}.png" for letter in "abcd"]
LISTS = [["a dog", "two dogs"], ["x"], ["y"], ["z"]]
TABLE = image_table(IMAGES, LISTS, NAMES)


def fetch_and_read(tmp_path, name="test", /, **keys):
    spec = HuggingFaceDataset(kind="huggingface", source=str(tmp_path / "mine"), **keys)
    raw = tmp_path / "data" / "raw" / "x" / name
    fetch_split("x", spec, name, raw, FetchContext(None, 0, tmp_path / "data", {}))
    return read_raw_split("x", spec, raw, tmp_path / "data", name)


def contents_of(tmp_path, split):
    return [(tmp_path / "data" / path).read_bytes() for path in split.image_paths]


@pytest.mark.parametrize("files", [1, 3])
def test_saved_data_set_without_splits_is_the_split_test(tmp_path, files):
    save_to_disk(tmp_path / "mine", TABLE, files)
    split = fetch_and_read(tmp_path)
    assert split.image_ids == NAMES
    assert split.captions == ["a dog", "two dogs", "x", "y", "z"]
    assert split.image_of_caption.tolist() == [0, 0, 1, 2, 3]
    assert contents_of(tmp_path, split) == IMAGES


@pytest.mark.parametrize("save", [save_splits_to_disk, save_on_hub])
def test_splits_are_read_by_their_names(tmp_path, save):
    save(tmp_path / "mine", {"train": TABLE, "validation": TABLE.slice(0, 1), "test": TABLE.slice(1, 2)})
    counts = {name: len(fetch_and_read(tmp_path, name).image_ids) for name in ("train", "val", "test")}
    assert counts == {"train": 4, "val": 1, "test": 2}
    with pytest.raises(OvertopError, match=r"mine has no split 'dev'; its splits: test, train, val$"):
        fetch_and_read(tmp_path, "dev")
    with pytest.raises(OvertopError, match=r"has the splits test, train, val; remove datasets\.x\.split"):
        fetch_and_read(tmp_path, "val", split={"val": 0.5})


@pytest.mark.parametrize("save", [save_splits_to_disk, save_on_hub])
def test_only_split_is_test_whatever_its_name(tmp_path, save):
    save(tmp_path / "mine", {"train": TABLE})
    assert fetch_and_read(tmp_path).image_ids == NAMES
    parts = [fetch_and_read(tmp_path, name, split={"val": 0.25}).image_ids for name in ("val", "test")]
    assert sorted(parts[0] + parts[1]) == NAMES
    assert len(parts[0]) == 1
    with pytest.raises(OvertopError, match=r"draw it by shares, datasets\.x\.split: \{val: 0\.2\}"):
        fetch_and_read(tmp_path, "val")


def test_rows_of_the_same_image_are_one_image_with_all_captions(tmp_path):
    table = image_table([IMAGES[0], IMAGES[1], IMAGES[0]], ["x", "y", "z"], ["a.png", "b.png", "again.png"])
    save_to_disk(tmp_path / "mine", table)
    split = fetch_and_read(tmp_path)
    assert (split.image_ids, split.captions) == (["a.png", "b.png"], ["x", "z", "y"])


def test_images_without_a_name_or_with_one_name_are_numbered(tmp_path):
    names = [None, "/home/me/image.png", "C:\\me\\image.png", "image.png"]
    save_to_disk(tmp_path / "mine", image_table(IMAGES, ["w", "x", "y", "z"], names))
    assert fetch_and_read(tmp_path).image_ids == ["00000000.png", "image.png", "image-2.png", "image-3.png"]


def test_image_without_caption_is_an_item_of_the_gallery(tmp_path):
    save_to_disk(tmp_path / "mine", image_table(IMAGES, [["x"], [], None, ["", " "]], NAMES))
    split = fetch_and_read(tmp_path)
    assert (split.image_ids, split.captions) == (NAMES, ["x"])


def test_columns_of_other_names_are_named(tmp_path):
    save_to_disk(tmp_path / "mine", TABLE.rename_columns(["photo", "alt", "id"]))
    columns = "its columns are 'photo', 'alt', 'id'; name it in the entry, `columns: {image: NAME}`"
    with pytest.raises(OvertopError, match=columns):
        fetch_and_read(tmp_path)
    assert fetch_and_read(tmp_path, columns={"image": "photo", "caption": "alt"}).image_ids == NAMES


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_image_folder_is_read(tmp_path, name):
    rows = [{"file_name": image, "text": text} for image, text in zip(NAMES, "wxyz", strict=True)]
    write_image_folder(tmp_path / "mine", dict(zip(NAMES, IMAGES, strict=True)), rows, name)
    split = fetch_and_read(tmp_path)
    assert (split.image_ids, split.captions) == (NAMES, list("wxyz"))
    assert contents_of(tmp_path, split) == IMAGES


def test_folders_of_an_image_folder_are_its_splits(tmp_path):
    """A table in the folder of a split, and one above."""
    write_image_folder(
        tmp_path / "mine/train", {"a.png": IMAGES[0]}, [{"file_name": "a.png", "text": "a"}], "metadata.csv"
    )
    rows = [{"file_name": "validation/b.png", "text": ["b", "c"]}]
    write_image_folder(tmp_path / "mine", {"validation/b.png": IMAGES[1]}, rows, "metadata.jsonl")
    assert fetch_and_read(tmp_path, "train").captions == ["a"]
    assert fetch_and_read(tmp_path, "val").captions == ["b", "c"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (image_table([None], ["x"], ["/home/me/a.png"]), r"row 1: has no image, only the path '/home/me/a\.png'; save"),
        (TABLE.set_column(0, "image", pa.array(NAMES)), "column 'image' has values of type string, not encoded"),
        (
            TABLE.set_column(1, "caption", pa.array([1, 2, 3, 4])),
            "column 'caption' has values of type int64, not",
        ),
    ],
)
def test_table_without_images_or_texts_is_one_line_error(tmp_path, table, message):
    save_to_disk(tmp_path / "mine", table)
    with pytest.raises(OvertopError, match=rf"mine/data-00000-of-00001\.arrow: {message}"):
        fetch_and_read(tmp_path)


def test_file_outside_the_folder_is_not_read(tmp_path):
    save_to_disk(tmp_path / "mine", TABLE)
    save_to_disk(tmp_path / "other", TABLE)
    state = {"_data_files": [{"filename": "../other/data-00000-of-00001.arrow"}]}
    (tmp_path / "mine/state.json").write_text(json.dumps(state))
    with pytest.raises(OvertopError, match="outside"):
        fetch_and_read(tmp_path)
    write_image_folder(tmp_path / "mine", {}, [{"file_name": "../secret.png", "text": "x"}], "metadata.jsonl")
    (tmp_path / "mine/state.json").unlink()
    with pytest.raises(OvertopError, match=r"metadata\.jsonl, line 1: .*outside"):
        fetch_and_read(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: cannot be read"),
        ('{"file_name": "a.png"}', "line 1: no column 'caption' .*; its columns are 'file_name'"),
        ('{"file_name": "gone.png", "text": "x"}', "line 1: image 'gone.png' is missing"),
        ('{"file_name": "a.png", "text": 5}', "line 1: cannot be read"),
    ],
)
def test_mistake_in_metadata_is_named_with_its_line(tmp_path, line, message):
    write_image_folder(tmp_path / "mine", {"a.png": IMAGES[0]}, [], "metadata.jsonl")
    (tmp_path / "mine/metadata.jsonl").write_text(line)
    with pytest.raises(OvertopError, match=rf"mine/metadata\.jsonl, {message}"):
        fetch_and_read(tmp_path)


def test_other_folder_is_an_error_that_names_the_forms(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(OvertopError, match=r"is no data set of Hugging Face's library .*; it needs state\.json"):
        fetch_and_read(tmp_path)


WRITE_WITH_THE_LIBRARY = """
import sys
from pathlib import Path
from datasets import Dataset, DatasetDict, Image
folder, names = sys.argv[1], sys.argv[2:]
columns = {"image": names, "captions": [["a", "b"]] * len(names)}
data = Dataset.from_dict(columns).cast_column("image", Image())
DatasetDict({"train": data.select([3, 0]), "validation": data.select([1])}).save_to_disk(folder)
"""


def test_folder_that_the_library_writes_is_read(tmp_path):
    """Selected rows too, which the library first puts into order."""
    try:
        version("datasets")
    except PackageNotFoundError:
        pytest.skip("Hugging Face's library `datasets` is not installed")
    for name, content in zip(NAMES, IMAGES, strict=True):
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in NAMES]
    subprocess.run([sys.executable, "-c", WRITE_WITH_THE_LIBRARY, str(tmp_path / "mine"), *paths], check=True)
    train = fetch_and_read(tmp_path, "train")
    assert (train.image_ids, train.captions) == (["d.png", "a.png"], ["a", "b", "a", "b"])
    assert contents_of(tmp_path, train) == [IMAGES[3], IMAGES[0]]
    assert fetch_and_read(tmp_path, "val").image_ids == ["b.png"]
