"""Photographs from a folder of the user's, and what a split of them is. Other ways: test_routes."""

import gzip
import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import configured
from overtop.config.datasets import KarpathyDataset
from overtop.datasets.annotations import parse_split, write_records
from overtop.datasets.karpathy import fetch, read
from overtop.datasets.raw import Context, record
from overtop.datasets.registry import read_checked
from overtop.errors import OvertopError


def _record(name, split="test", captions=("c0", "c1", "c2"), **more):
    return {"filename": name, "split": split, "captions": list(captions), **more}


def _fetched(place, entries, split="test", **spec):
    place.folder("set", entries, spec.get("annotations", "captions.jsonl"))
    spec = KarpathyDataset(kind="karpathy", source="set", **{"captions_per_image": 3} | spec)
    fetch("x", spec, split, place.raw(split), place.context())
    return spec, place.raw(split), place.data, split


def _read(place, entries, split="test", **spec):
    return read_checked("x", *_fetched(place, entries, split, **spec))


def _files(raw):
    return sorted(str(path.relative_to(raw)) for path in raw.rglob("*") if path.is_file())


def test_a_split_is_read_with_its_first_captions(place):
    split = _read(place, [_record("b.jpg"), _record("t.jpg", "train"), _record("a.jpg")], captions_per_image=2)
    assert split.image_ids == ["b.jpg", "a.jpg"]
    assert split.image_paths == ["raw/x/test/images/b.jpg", "raw/x/test/images/a.jpg"]
    assert split.caption_ids == ["b.jpg#0", "b.jpg#1", "a.jpg#0", "a.jpg#1"]
    assert split.captions == ["c0", "c1", "c0", "c1"]


def test_a_split_is_fetched_alone_with_all_its_captions(place):
    entries = [_record("b.jpg"), _record("t.jpg", "train"), _record("r.jpg", "restval")]
    _, raw, _, _ = _fetched(place, entries, captions_per_image=2)
    assert _files(raw) == ["captions.jsonl", "images/b.jpg"]
    assert json.loads((raw / "captions.jsonl").read_text()) == {"filename": "b.jpg", "captions": ["c0", "c1", "c2"]}
    assert _read(place, entries, "train").image_ids == ["t.jpg", "r.jpg"]
    with pytest.raises(OvertopError, match=r"set/captions\.jsonl has no split 'val'; its splits: test, train"):
        _read(place, entries, "val")


@pytest.mark.parametrize("annotations", ["captions.jsonl.gz", "dataset.json.gz"])
def test_annotations_may_be_gzipped(place, annotations):
    folder = place.folder("set", [_record("a.jpg")], annotations.removesuffix(".gz"))
    (folder / annotations).write_bytes(gzip.compress((folder / annotations.removesuffix(".gz")).read_bytes()))
    spec = KarpathyDataset(kind="karpathy", source=str(folder), annotations=annotations, captions_per_image="all")
    fetch("x", spec, "test", place.raw(), place.context())
    assert read_checked("x", spec, place.raw(), place.data, "test").captions == ["c0", "c1", "c2"]


def test_an_image_of_another_folder_lies_with_the_others(place):
    split = _read(place, [_record("a.jpg", filepath="val2014"), _record("b.jpg")])
    assert split.image_paths == ["raw/x/test/images/a.jpg", "raw/x/test/images/b.jpg"]


def test_an_image_may_lie_where_its_record_says(place):
    folder = place.folder("set", [_record("there.jpg")])
    (folder / "elsewhere").mkdir()
    (folder / "images/there.jpg").rename(folder / "elsewhere/1.jpg")
    entry = {**_record("there.jpg"), "image": "../elsewhere/1.jpg", "karpathy_split": "val"}
    del entry["split"]
    (folder / "lines").mkdir()
    (folder / "lines/a.jsonl").write_text(json.dumps(entry))
    spec = KarpathyDataset(kind="karpathy", source=str(folder), annotations="lines/a.jsonl", captions_per_image=3)
    fetch("x", spec, "val", place.raw("val"), place.context())
    assert _files(place.raw("val")) == ["captions.jsonl", "images/there.jpg"]
    (folder / "lines/a.jsonl").write_text(json.dumps({**entry, "image": "../../outside.jpg"}))
    with pytest.raises(OvertopError, match="points outside"):
        fetch("x", spec, "val", place.raw("val"), place.context())


def test_judgments_are_fetched_with_every_split(place):
    place.folder("set", [_record("a.jpg"), _record("b.jpg", "val")])
    (place.mirror / "set" / "said.txt").write_text("said")
    spec = KarpathyDataset(kind="karpathy", source="set", judgments={"crowd": "said.txt"})
    for split in ("test", "val"):
        fetch("x", spec, split, place.raw(split), place.context())
        assert (place.raw(split) / "said.txt").read_text() == "said"
    (place.mirror / "set" / "said.txt").unlink()
    with pytest.raises(OvertopError, match=r"said\.txt is missing"):
        fetch("x", spec, "test", place.raw(), place.context())


def test_the_declared_size_is_proved(place):
    spec, *where = _fetched(place, [_record("a.jpg"), _record("b.jpg")], expect={"test": {"images": 2, "captions": 6}})
    assert len(read_checked("x", spec, *where).captions) == 6
    wrong = spec.model_copy(update={"captions_per_image": 1})
    with pytest.raises(OvertopError, match=r"2 images and 2 captions.*expect\.test declares 2 and 6"):
        read_checked("x", wrong, *where)


def test_an_image_with_fewer_captions_is_named_unless_all_are_taken(place):
    entries = [_record("a.jpg"), _record("b.jpg", captions=("c0", "c1"))]
    with pytest.raises(OvertopError, match=r"image 'b\.jpg' has 2 captions, and captions_per_image is 3"):
        _read(place, entries)
    assert len(_read(place, entries, captions_per_image="all").captions) == 5
    assert len(_read(place, entries, captions_per_image=2).captions) == 4


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([_record("a.jpg", captions=())], "'a.jpg' has no caption"),
        ([_record("a.jpg", captions=("", "c1", "c2"))], "'a.jpg#0' is empty"),
        ([_record("a.jpg"), _record("a.jpg")], "occurs more than once"),
        ([_record("a.jpg", filepath="x"), _record("a.jpg", filepath="y")], "occurs more than once"),
        ([_record("a.jpg", "train")], "has no split 'test'"),
    ],
)
def test_wrong_annotations_are_one_clear_error(place, entries, message):
    with pytest.raises(OvertopError, match=message):
        _read(place, entries)


def test_missing_annotations_are_named(place):
    (place.mirror / "set").mkdir()
    with pytest.raises(OvertopError, match=r"set/captions\.jsonl is missing"):
        fetch("x", KarpathyDataset(kind="karpathy", source="set"), "test", place.raw(), place.context())


@pytest.mark.parametrize("outside", [{"filename": "../../../secret.jpg"}, {"filepath": "../../.."}])
def test_an_image_name_cannot_leave_the_folder(place, outside):
    folder = place.folder("set", [_record("a.jpg")])
    (folder / "captions.jsonl").write_text(json.dumps(_record("a.jpg") | outside))
    with pytest.raises(OvertopError, match="outside"):
        fetch("x", KarpathyDataset(kind="karpathy", source="set"), "test", place.raw(), place.context())


def test_a_missing_image_is_named(place):
    folder = place.folder("set", [_record("a.jpg")])
    (folder / "images" / "a.jpg").unlink()
    with pytest.raises(OvertopError, match=r"a\.jpg is missing"):
        fetch("x", KarpathyDataset(kind="karpathy", source="set"), "test", place.raw(), place.context())


def test_a_missing_image_is_skipped_on_request(place, caplog):
    folder = place.folder("set", [_record("a.jpg"), _record("b.jpg")])
    (folder / "images/a.jpg").unlink()
    spec = KarpathyDataset(kind="karpathy", source=str(folder), on_error="skip", captions_per_image=3)
    fetch("x", spec, "test", place.raw(), place.context())
    assert _files(place.raw()) == ["captions.jsonl", "images/b.jpg"]
    assert "a.jpg is missing" in caplog.text


def test_a_second_fetch_copies_nothing_and_leaves_nothing_else(place):
    spec, raw, *_ = _fetched(place, [_record("a.jpg")])
    record(raw)
    before = (raw / "images" / "a.jpg").stat().st_ino
    (raw / "images" / "of-another-source.jpg").write_text("")
    fetch("x", spec, "test", raw, place.context())
    assert (raw / "images" / "a.jpg").stat().st_ino == before
    assert _files(raw) == ["captions.jsonl", "images/a.jpg"]


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
def test_the_test_split_alone_has_extended_positives(place, own):
    entries = [_karpathys_own(record) for record in COCO] if own else COCO
    spec = {"annotations": "d.json" if own else "d.jsonl", "extended": ["cxc"], "captions_per_image": 1}
    assert [known.tolist() for known in _read(place, entries, **spec).extended] == [[0]]
    assert _read(place, entries, "train", **spec).extended is None


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
def test_foreign_and_missing_ids_are_named(place, changes, message):
    with pytest.raises(OvertopError, match=message):
        _read(place, [{**COCO[0], **changes}], extended=["cxc"], captions_per_image="all")


@pytest.mark.usefixtures("eccv")
@pytest.mark.parametrize(
    ("sources", "pairs", "captions", "images"),
    [(["cxc"], 35614, 8005, 3589), (["eccv"], 46442, 9145, 3269), (["cxc", "eccv"], 54157, 13212, 4494)],
)
def test_every_id_of_the_real_test_split_is_known(tmp_path, mirror, sources, pairs, captions, images):
    """Counts are those of a plain loop over the package's files."""
    annotations = mirror / "annotations" / "coco_karpathy_test.jsonl.gz"
    write_records(tmp_path, parse_split(annotations.name, annotations.read_bytes(), "test"))
    split = read("coco", KarpathyDataset(kind="karpathy", source="coco", extended=sources), tmp_path, "test")
    assert (len(split.image_ids), len(split.captions)) == (5000, 25000)
    known = np.array([len(images) for images in split.extended])
    assert known.sum() == pairs
    assert (known > 1).sum() == captions
    assert all(own in found for own, found in zip(split.image_of_caption, split.extended, strict=True))
    other = pd.DataFrame(
        {"own": np.repeat(split.image_of_caption, known), "image": np.concatenate(split.extended)}
    ).query("own != image")
    assert other["image"].nunique() == images


def test_the_partial_benchmarks_of_the_mirror(tmp_path, mirror):
    """Their own lines: `karpathy_split` for `split`, and `image` for where an image lies beside the annotations."""
    values = configured(Path(__file__).parents[2])["datasets"]
    for name, images in (("mscoco-subset", 49), ("flickr30k-subset", 239)):
        spec = KarpathyDataset.model_validate(values[name])
        raw = tmp_path / "raw" / name / "test"
        fetch(name, spec, "test", raw, Context(str(mirror), 0, tmp_path, {}))
        split = read_checked(name, spec, raw, tmp_path, "test")
        assert (len(split.image_ids), len(split.captions)) == (images, 5 * images)
