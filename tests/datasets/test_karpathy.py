import json

import pytest

from overtop.config import KarpathySpec
from overtop.datasets import read_checked
from overtop.datasets.karpathy import fetch
from overtop.datasets.sources import record
from overtop.errors import OvertopError


def _source(folder, records, annotations="captions.jsonl"):
    (folder / "images").mkdir(parents=True)
    for entry in records:
        (folder / "images" / entry["filename"]).write_bytes(b"jpeg " + entry["filename"].encode())
    lines = [json.dumps(entry) for entry in records]
    (folder / annotations).write_text(
        "\n".join(lines) if annotations.endswith("l") else json.dumps({"images": records})
    )


def _record(name, split="test", captions=("c0", "c1", "c2")):
    return {"filename": name, "split": split, "captions": list(captions)}


def _fetched(tmp_path, records, **spec):
    _source(tmp_path / "mirror" / "set", records, spec.get("annotations", "captions.jsonl"))
    spec = KarpathySpec(kind="karpathy", source="set", **spec)
    raw = tmp_path / "data" / "raw" / "x"
    fetch("x", spec, raw, str(tmp_path / "mirror"), 0)
    return spec, raw


def test_a_split_is_read_with_its_first_captions(tmp_path):
    spec, raw = _fetched(
        tmp_path, [_record("b.jpg"), _record("t.jpg", "train"), _record("a.jpg")], captions_per_image=2
    )
    split = read_checked("x", spec, raw, tmp_path / "data", "test")
    assert split.image_ids == ["b.jpg", "a.jpg"]
    assert split.image_paths == ["raw/x/images/b.jpg", "raw/x/images/a.jpg"]
    assert split.caption_ids == ["b.jpg#0", "b.jpg#1", "a.jpg#0", "a.jpg#1"]
    assert split.captions == ["c0", "c1", "c0", "c1"]


def test_karpathys_own_json_is_understood(tmp_path):
    records = [{"filename": "a.jpg", "split": "test", "sentences": [{"raw": "one"}, {"raw": "two"}]}]
    spec, raw = _fetched(tmp_path, records, annotations="dataset.json", captions_per_image="all")
    assert read_checked("x", spec, raw, tmp_path / "data", "test").captions == ["one", "two"]


def test_the_declared_size_is_proved(tmp_path):
    expect = {"test": {"images": 2, "captions": 6}}
    spec, raw = _fetched(tmp_path, [_record("a.jpg"), _record("b.jpg")], expect=expect)
    assert len(read_checked("x", spec, raw, tmp_path / "data", "test").captions) == 6
    wrong = spec.model_copy(update={"captions_per_image": 1})
    with pytest.raises(OvertopError, match=r"2 images and 2 captions.*expect\.test declares 2 and 6"):
        read_checked("x", wrong, raw, tmp_path / "data", "test")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([_record("a.jpg", captions=())], "'a.jpg' has no caption"),
        ([_record("a.jpg", captions=("",))], "'a.jpg#0' is empty"),
        ([_record("a.jpg"), _record("a.jpg")], "occurs more than once"),
        ([_record("a.jpg", "train")], "has no split 'test'"),
    ],
)
def test_wrong_annotations_are_one_clear_error(tmp_path, records, message):
    with pytest.raises(OvertopError, match=message):
        read_checked("x", *_fetched(tmp_path, records), tmp_path / "data", "test")


def test_annotations_of_another_kind_are_refused(tmp_path):
    _source(tmp_path / "set", [_record("a.jpg")])
    (tmp_path / "set" / "captions.jsonl").write_text('{"file": "a.jpg"}\n')
    with pytest.raises(OvertopError, match="not Karpathy annotations"):
        fetch("x", KarpathySpec(kind="karpathy", source=str(tmp_path / "set")), tmp_path / "raw", None, 0)


def test_an_image_name_cannot_leave_the_folder(tmp_path):
    _source(tmp_path / "set", [_record("a.jpg")])
    (tmp_path / "set" / "captions.jsonl").write_text(json.dumps(_record("../../secret.jpg")))
    with pytest.raises(OvertopError, match="outside"):
        fetch("x", KarpathySpec(kind="karpathy", source=str(tmp_path / "set")), tmp_path / "raw", None, 0)


def test_a_missing_image_is_named(tmp_path):
    _source(tmp_path / "set", [_record("a.jpg")])
    (tmp_path / "set" / "images" / "a.jpg").unlink()
    with pytest.raises(OvertopError, match=r"a\.jpg is missing"):
        fetch("x", KarpathySpec(kind="karpathy", source=str(tmp_path / "set")), tmp_path / "raw", None, 0)


def test_without_a_mirror_the_error_says_which_key_to_set(tmp_path):
    with pytest.raises(OvertopError, match="--config mirror=FOLDER"):
        fetch("x", KarpathySpec(kind="karpathy", source="set"), tmp_path, None, 0)
    with pytest.raises(OvertopError, match=r"datasets\.x\.source"):
        fetch("x", KarpathySpec(kind="karpathy", source="set"), tmp_path, str(tmp_path), 0)


def test_a_second_fetch_copies_nothing_and_the_record_tells_digests(tmp_path):
    spec, raw = _fetched(tmp_path, [_record("a.jpg")])
    record(raw)
    before = {p: p.stat().st_ino for p in raw.rglob("*.jpg")}
    fetch("x", spec, raw, str(tmp_path / "mirror"), 0)
    assert {p: p.stat().st_ino for p in raw.rglob("*.jpg")} == before
    assert json.loads((raw / "source.json").read_text())["images/a.jpg"]["bytes"] == len(b"jpeg a.jpg")
