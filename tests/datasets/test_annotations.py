import gzip
import json

import pytest

from overtop.datasets.annotations import Record, parse_split, read_records, write_records
from overtop.errors import OvertopError

KARPATHY_JSON = {
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
JSON_LINES = [
    {"filename": "a.jpg", "filepath": "val2014", "image_id": 7, "caption_ids": [70, 71], "captions": ["one", " two\n"]},
    {"filename": "b.jpg", "split": "restval", "captions": ["three"], "caption_ids": [72]},
    {"filename": "c.jpg", "split": "train", "captions": ["four"]},
]
A = Record("a.jpg", ("one", " two\n"), "val2014", 7, (70, 71))
B, C = Record("b.jpg", ("three",), caption_ids=(72,)), Record("c.jpg", ("four",))


def _content(name):
    text = (
        json.dumps(KARPATHY_JSON)
        if ".json" in name and "jsonl" not in name
        else "\n\n".join(map(json.dumps, JSON_LINES))
    )
    return gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()


@pytest.mark.parametrize("name", ["d.json", "d.json.gz", "d.jsonl", "d.jsonl.gz"])
def test_both_formats_give_the_same_records(name):
    assert parse_split(name, _content(name), "test") == [A]


@pytest.mark.parametrize("name", ["d.json", "d.jsonl"])
def test_train_split_includes_restval(name):
    assert parse_split(name, _content(name), "train") == [B, C]


@pytest.mark.parametrize("split", ["val", "restval"])
def test_missing_split_is_reported_with_available_splits(split):
    with pytest.raises(OvertopError, match=f"d.json has no split '{split}'; its splits: test, train"):
        parse_split("d.json", _content("d.json"), split)


def test_record_without_split_belongs_to_test():
    content = b'{"filename": "a.jpg", "captions": ["one"]}\n{"filename": "b", "captions": ["two"], "split": "val"}'
    assert [record.filename for record in parse_split("d.jsonl", content, "test")] == ["a.jpg"]


def test_records_after_round_trip_are_equal(tmp_path):
    records = [Record("ä.jpg", ("line\u2028separator", "two"), "", 7, (1, 2)), Record("b.jpg", ("three",))]
    write_records(tmp_path, records)
    assert read_records(tmp_path) == records
    assert len((tmp_path / "captions.jsonl").read_text().split("\n")) == 3


def test_damaged_gzip_file_is_rejected():
    with pytest.raises(OvertopError, match=r"d\.jsonl\.gz: cannot be decompressed"):
        parse_split("d.jsonl.gz", _content("d.jsonl.gz")[:-9], "test")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"file": "a.jpg"}, "not Karpathy annotations"),
        ({"filename": "a.jpg", "captions": None}, "not Karpathy annotations"),
        ({"filename": 7, "captions": ["one"]}, "not a string"),
        ({"filename": "a.jpg", "captions": [7]}, "not a string"),
        ({"filename": "a.jpg", "sentences": ["one"]}, "not Karpathy annotations"),
        (["a.jpg"], "a record is not an object"),
        ({"filename": "a.jpg", "captions": []}, "'a.jpg' has no caption"),
        ({"filename": "a.jpg", "captions": ["one"], "split": 1}, "record 0 has no split name"),
    ],
)
def test_invalid_record_is_one_line_error(line, message):
    with pytest.raises(OvertopError, match=f"d.jsonl: .*{message}"):
        parse_split("d.jsonl", json.dumps(line).encode(), "test")


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"\xff", b"{"])
def test_content_that_is_not_annotations_is_rejected(content):
    with pytest.raises(OvertopError, match=r"d\.json: not Karpathy annotations"):
        parse_split("d.json", content, "test")


def test_image_that_occurs_twice_in_a_split_is_rejected():
    repeated = {"images": [KARPATHY_JSON["images"][0]] * 2}
    with pytest.raises(OvertopError, match=r"d\.json: 'a\.jpg' occurs more than once; keep one"):
        parse_split("d.json", json.dumps(repeated).encode(), "test")


def test_text_in_place_of_captions_is_not_split_into_letters():
    with pytest.raises(OvertopError, match=r"d\.jsonl: .*the captions of 'a\.jpg' are no list"):
        parse_split("d.jsonl", b'{"filename": "a.jpg", "captions": "a dog"}', "test")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"filename": "a\0.jpg"}, "contains a control character"),
        ({"filename": "\ud800.jpg"}, "half of a character"),
        ({"filename": "x" * 300}, "is too long"),
        ({"filename": "a.jpg", "image": "\0"}, "contains a control character"),
        ({"filename": "a.jpg", "captions": ["\ud800"]}, "surrogates not allowed"),
        ({"filename": "a.jpg", "image_id": [7]}, "an id of 'a.jpg' is not a whole number"),
    ],
)
def test_name_text_or_id_that_cannot_be_used_is_one_line_error(entry, message):
    with pytest.raises(OvertopError, match=f"d.jsonl: .*{message}"):
        parse_split("d.jsonl", json.dumps({"captions": ["x"], **entry}).encode(), "test")


def test_two_spellings_of_one_file_are_rejected():
    lines = [json.dumps({"filename": name, "captions": ["x"]}) for name in ("a.jpg", "./a.jpg")]
    with pytest.raises(OvertopError, match=r"'\./a\.jpg' and 'a\.jpg' are one file"):
        parse_split("d.jsonl", "\n".join(lines).encode(), "test")
