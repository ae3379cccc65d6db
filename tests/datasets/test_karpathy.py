import gzip
import json
from importlib import metadata

import numpy as np
import pandas as pd
import pytest

from overtop.config import KarpathySpec
from overtop.datasets import read_checked
from overtop.datasets.karpathy import fetch, read
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


@pytest.mark.parametrize("annotations", ["captions.jsonl.gz", "dataset.json.gz"])
def test_annotations_may_be_gzipped(tmp_path, annotations):
    place = tmp_path / "mirror" / "set"
    _source(place, [_record("a.jpg")], annotations.removesuffix(".gz"))
    (place / annotations).write_bytes(gzip.compress((place / annotations.removesuffix(".gz")).read_bytes()))
    spec = KarpathySpec(kind="karpathy", source=str(place), annotations=annotations)
    raw = tmp_path / "data" / "raw" / "x"
    fetch("x", spec, raw, None, 0)
    assert read_checked("x", spec, raw, tmp_path / "data", "test").captions == ["c0", "c1", "c2"]
    (raw / annotations).write_bytes((raw / annotations).read_bytes()[:-9])
    with pytest.raises(OvertopError, match=f"{annotations}: cannot be unpacked"):
        read_checked("x", spec, raw, tmp_path / "data", "test")


def test_a_record_without_a_split_is_of_the_test_split(tmp_path):
    spec, raw = _fetched(tmp_path, [{"filename": "a.jpg", "captions": ["one"]}, _record("b.jpg", "val")])
    assert read_checked("x", spec, raw, tmp_path / "data", "test").image_ids == ["a.jpg"]


def test_an_image_lies_in_its_filepath(tmp_path):
    place = tmp_path / "set"
    _source(place, [_record("a.jpg") | {"filepath": "val2014"}])
    (place / "images" / "val2014").mkdir()
    (place / "images" / "a.jpg").rename(place / "images" / "val2014" / "a.jpg")
    spec = KarpathySpec(kind="karpathy", source=str(place))
    raw = tmp_path / "data" / "raw" / "x"
    fetch("x", spec, raw, None, 0)
    split = read_checked("x", spec, raw, tmp_path / "data", "test")
    assert (split.image_ids, split.image_paths) == (["a.jpg"], ["raw/x/images/val2014/a.jpg"])


def test_judgments_are_fetched_beside_the_annotations(tmp_path):
    _source(tmp_path / "set", [_record("a.jpg")])
    (tmp_path / "set" / "said.txt").write_text("said")
    spec = KarpathySpec(kind="karpathy", source=str(tmp_path / "set"), judgments={"crowd": "said.txt"})
    fetch("x", spec, tmp_path / "raw", None, 0)
    assert (tmp_path / "raw" / "said.txt").read_text() == "said"
    (tmp_path / "set" / "said.txt").unlink()
    with pytest.raises(OvertopError, match=r"said\.txt is missing"):
        fetch("x", spec, tmp_path / "raw", None, 0)


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


# What the package says of COCO's first test image, its captions, and a train image it knows nothing of.
COCO = [
    {"filename": "m.jpg", "split": "test", "image_id": 391895, "caption_ids": [770337, 771687], "captions": ["p", "q"]},
    {"filename": "t.jpg", "split": "train", "image_id": 9, "caption_ids": [48], "captions": ["r"]},
]


@pytest.fixture
def eccv():
    """The package with COCO's judgments."""
    try:
        metadata.distribution("eccv_caption")
    except metadata.PackageNotFoundError:
        pytest.skip("eccv_caption is not installed")


def _karpathys_own(record):
    sentences = [
        {"raw": caption, "sentid": number}
        for caption, number in zip(record["captions"], record["caption_ids"], strict=True)
    ]
    kept = {key: record[key] for key in ("filename", "split")}
    return {**kept, "cocoid": record["image_id"], "sentences": sentences}


@pytest.mark.usefixtures("eccv")
@pytest.mark.parametrize("own", [False, True])
def test_the_test_split_alone_has_extended_positives(tmp_path, own):
    records = [_karpathys_own(record) for record in COCO] if own else COCO
    spec, raw = _fetched(
        tmp_path, records, annotations="d.json" if own else "d.jsonl", extended=["cxc"], captions_per_image=1
    )
    assert [known.tolist() for known in read_checked("x", spec, raw, tmp_path / "data", "test").extended] == [[0]]
    assert read_checked("x", spec, raw, tmp_path / "data", "train").extended is None


@pytest.mark.usefixtures("eccv")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 9}, "does not know caption 770337 of image 9"),
        ({"caption_ids": [1, 771687]}, "does not know caption 1 of image 391895"),
        ({"image_id": None}, "'m.jpg' lacks COCO's ids"),
        ({"caption_ids": None}, "'m.jpg' lacks COCO's ids"),
        ({"caption_ids": [770337]}, "'m.jpg' lacks COCO's ids"),
        ({"sentences": [{"raw": "p"}], "cocoid": 391895}, "'m.jpg' lacks COCO's ids"),
    ],
)
def test_foreign_and_missing_ids_are_named(tmp_path, changes, message):
    spec, raw = _fetched(tmp_path, [{**COCO[0], **changes}], extended=["cxc"])
    with pytest.raises(OvertopError, match=message):
        read_checked("x", spec, raw, tmp_path / "data", "test")


@pytest.mark.usefixtures("eccv")
@pytest.mark.parametrize(
    ("sources", "pairs", "captions", "images"),
    [(["cxc"], 35614, 8005, 3589), (["eccv"], 46442, 9145, 3269), (["cxc", "eccv"], 54157, 13212, 4494)],
)
def test_every_id_of_the_real_test_split_is_known(tmp_path, mirror, sources, pairs, captions, images):
    """Counts are those of a plain loop over the package's files."""
    spec = KarpathySpec(kind="karpathy", source="coco", annotations="coco_karpathy_test.jsonl.gz", extended=sources)
    split = read("coco", spec, mirror / "annotations", "test")
    assert (len(split.image_ids), len(split.captions)) == (5000, 25000)
    known = np.array([len(images) for images in split.extended])
    assert known.sum() == pairs
    assert (known > 1).sum() == captions
    assert all(own in found for own, found in zip(split.image_of_caption, split.extended, strict=True))
    other = pd.DataFrame(
        {"own": np.repeat(split.image_of_caption, known), "image": np.concatenate(split.extended)}
    ).query("own != image")
    assert other["image"].nunique() == images
