import pandas as pd
import pytest

from overtop.config.datasets import TextsDataset
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.errors import OvertopError


def fetch_and_read(source_files, name, content, split="all"):
    if isinstance(content, pd.DataFrame):
        content.to_parquet(source_files.mirror / name)
    else:
        (source_files.mirror / name).write_text(content, encoding="utf-8")
    spec = TextsDataset(kind="texts", source=name)
    fetch_split("x", spec, split, source_files.raw(split), source_files.context())
    return read_raw_split("x", spec, source_files.raw(split), source_files.data, split)


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("q.csv", 'text\na dog\n"red, blue"\na dog\n', "012"),
        ("q.csv", '\ufeffcaption\na dog\n"red, blue"\n\na dog\n', "012"),
        ("q.CSV", 'id,other,text\nz,1,a dog\ny,2,"red, blue"\nx,3,a dog\n', "zyx"),
        ("q.parquet", pd.DataFrame({"text": ["a dog", "red, blue", "a dog"]}), "012"),
        ("q.parquet", pd.DataFrame({"id": [5, 4, 3], "caption": ["a dog", "red, blue", "a dog"]}), "543"),
        ("q.txt", "a dog\nred, blue\na dog\n\n", "012"),
    ],
)
def test_texts_of_every_format_are_read_in_order(source_files, name, content, ids):
    split = fetch_and_read(source_files, name, content)
    assert (split.captions, split.caption_ids) == (["a dog", "red, blue", "a dog"], list(ids))
    assert (split.image_ids, split.image_of_caption.tolist()) == ([], [-1, -1, -1])


def test_text_that_looks_like_a_missing_value_is_kept(source_files):
    assert fetch_and_read(source_files, "q.csv", "id,text\nNA,null\nNaN,nan\n").captions == ["null", "nan"]


def test_file_of_another_format_replaces_the_former_one(source_files):
    fetch_and_read(source_files, "q.csv", "text\na dog\n")
    assert fetch_and_read(source_files, "q.txt", "a cat\n").captions == ["a cat"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.csv", "query\na dog\n", r"q\.csv: has columns 'query'; it needs `text`"),
        ("q.csv", "text\na dog\nred, blue\n", r"q\.csv, line 3: has 2 fields, but there are 1 columns; put texts"),
        ("q.csv", "text,id\na dog,1\n ,2\n", r"q\.csv: text number 2 is empty; write a text or remove the row"),
        ("q.csv", "text,id\na dog,1\na cat,1\n", r"q\.csv: id '1' occurs more than once"),
        ("q.csv", "text\n", r"q\.csv: has no text"),
        ("q.csv", "", r"q\.csv: cannot be read as a table \(it is empty\)"),
        ("q.txt", "\n\n", r"q\.txt: has no text"),
        ("q.txt", "a\n\nb", r"q\.txt: text number 2 is empty"),
        ("q.parquet", "no parquet", r"q\.parquet: cannot be read as a table"),
        ("q.json", "{}", r"q\.json: is neither \.csv, \.parquet nor \.txt"),
    ],
)
def test_mistake_is_one_line_error(source_files, name, content, message):
    with pytest.raises(OvertopError, match=f"{source_files.mirror}/{message}") as caught:
        fetch_and_read(source_files, name, content)
    assert "\n" not in str(caught.value)


def test_unknown_split_is_one_line_error(source_files):
    with pytest.raises(OvertopError, match=r"datasets\.x has no split 'test'; its splits: all"):
        fetch_and_read(source_files, "q.txt", "a dog", split="test")
