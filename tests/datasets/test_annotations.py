import gzip
import json

import pytest

from overtop.datasets.annotations import Record, parse_split, read_records, write_records
from overtop.errors import OvertopError

OWN = {
    "images": [
        {
            "filename": "a.jpg",
            "filepath": "val2014",
            "split": "test",
            "cocoid": 7,
            "sentences": [{"raw": "one", "sentid": 70}, {"raw": " two\n", "sentid": 71}],
        },
        {"filename": "b.jpg", "split": "restval", "sentences": [{"raw": "three", "sentid": 72}]},
        {"filename": "c.jpg", "split": "train", "sentences": [{"raw": "four"}]},
    ]
}
LINES = [
    {"filename": "a.jpg", "filepath": "val2014", "image_id": 7, "caption_ids": [70, 71], "captions": ["one", " two\n"]},
    {"filename": "b.jpg", "split": "restval", "captions": ["three"], "caption_ids": [72]},
    {"filename": "c.jpg", "split": "train", "captions": ["four"]},
]
A = Record("a.jpg", ("one", " two\n"), "val2014", 7, (70, 71))
B, C = Record("b.jpg", ("three",), caption_ids=(72,)), Record("c.jpg", ("four",))


def _content(name):
    text = json.dumps(OWN) if ".json" in name and "jsonl" not in name else "\n\n".join(map(json.dumps, LINES))
    return gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()


@pytest.mark.parametrize("name", ["d.json", "d.json.gz", "d.jsonl", "d.jsonl.gz"])
def test_both_forms_tell_the_same(name):
    assert parse_split(name, _content(name), "test") == [A]


@pytest.mark.parametrize("name", ["d.json", "d.jsonl"])
def test_the_train_split_has_what_his_validation_set_left_over(name):
    assert parse_split(name, _content(name), "train") == [B, C]


@pytest.mark.parametrize("asked", ["val", "restval"])
def test_a_split_that_is_not_there_is_told_with_those_that_are(asked):
    with pytest.raises(OvertopError, match=f"d.json has no split '{asked}'; its splits: test, train"):
        parse_split("d.json", _content("d.json"), asked)


def test_a_record_without_a_split_is_of_the_test_split():
    content = b'{"filename": "a.jpg", "captions": ["one"]}\n{"filename": "b", "captions": ["two"], "split": "val"}'
    assert [record.filename for record in parse_split("d.jsonl", content, "test")] == ["a.jpg"]


def test_records_read_back_as_written_but_for_their_folder(tmp_path):
    records = [Record("ä.jpg", ("line\u2028separator", "two"), "", 7, (1, 2)), Record("b.jpg", ("three",))]
    write_records(tmp_path, records)
    assert read_records(tmp_path) == records
    assert len((tmp_path / "captions.jsonl").read_text().split("\n")) == 3


def test_a_damaged_file_is_named():
    with pytest.raises(OvertopError, match=r"d\.jsonl\.gz: cannot be unpacked"):
        parse_split("d.jsonl.gz", _content("d.jsonl.gz")[:-9], "test")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"file": "a.jpg"}, "not Karpathy annotations"),
        ({"filename": "a.jpg", "captions": None}, "not Karpathy annotations"),
        ({"filename": 7, "captions": ["one"]}, "not a text"),
        ({"filename": "a.jpg", "captions": [7]}, "not a text"),
        ({"filename": "a.jpg", "sentences": ["one"]}, "not Karpathy annotations"),
        (["a.jpg"], "a record is not an object"),
        ({"filename": "a.jpg", "captions": []}, "'a.jpg' has no caption"),
        ({"filename": "a.jpg", "captions": ["one"], "split": 1}, "record 0 has no split name"),
    ],
)
def test_a_wrong_record_is_one_clear_error(line, message):
    with pytest.raises(OvertopError, match=f"d.jsonl: .*{message}"):
        parse_split("d.jsonl", json.dumps(line).encode(), "test")


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"\xff", b"{"])
def test_something_else_is_refused(content):
    with pytest.raises(OvertopError, match=r"d\.json: not Karpathy annotations"):
        parse_split("d.json", content, "test")


def test_an_image_comes_once_in_a_split():
    twice = {"images": [OWN["images"][0]] * 2}
    with pytest.raises(OvertopError, match=r"image 'a\.jpg' occurs more than once in split 'test'"):
        parse_split("d.json", json.dumps(twice).encode(), "test")
