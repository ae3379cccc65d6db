"""Karpathy data sets from a local folder, and reading their splits. For downloads see test_routes."""

import gzip
import json
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import read_committed_config
from overtop.config.datasets import KarpathyDataset
from overtop.datasets.annotations import parse_split, write_records
from overtop.datasets.karpathy import fetch, read
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import read_raw_split
from overtop.errors import OvertopError
from overtop.retrieval.relevance import eccv_hits


def _record(name, split="test", captions=("c0", "c1", "c2"), **keys):
    return {"filename": name, "split": split, "captions": list(captions), **keys}


def _fetch(source_files, entries, split="test", **spec):
    source_files.add_folder("set", entries, spec.get("annotations", "captions.jsonl"))
    spec = KarpathyDataset(kind="karpathy", source="set", **{"captions_per_image": 3} | spec)
    fetch("x", spec, split, source_files.raw(split), source_files.context())
    return spec, source_files.raw(split), source_files.data, split


def _fetch_and_read(source_files, entries, split="test", **spec):
    return read_raw_split("x", *_fetch(source_files, entries, split, **spec))


def _list_files(raw):
    return sorted(str(path.relative_to(raw)) for path in raw.rglob("*") if path.is_file())


def test_split_has_first_captions_of_each_image(source_files):
    split = _fetch_and_read(
        source_files, [_record("b.jpg"), _record("t.jpg", "train"), _record("a.jpg")], captions_per_image=2
    )
    assert split.image_ids == ["b.jpg", "a.jpg"]
    assert split.image_paths == ["raw/x/test/images/b.jpg", "raw/x/test/images/a.jpg"]
    assert split.caption_ids == ["b.jpg#0", "b.jpg#1", "a.jpg#0", "a.jpg#1"]
    assert split.captions == ["c0", "c1", "c0", "c1"]


def test_fetch_copies_one_split_with_all_captions(source_files):
    entries = [_record("b.jpg"), _record("t.jpg", "train"), _record("r.jpg", "restval")]
    _, raw, _, _ = _fetch(source_files, entries, captions_per_image=2)
    assert _list_files(raw) == ["captions.jsonl", "images/b.jpg"]
    assert json.loads((raw / "captions.jsonl").read_text()) == {"filename": "b.jpg", "captions": ["c0", "c1", "c2"]}
    assert _fetch_and_read(source_files, entries, "train").image_ids == ["t.jpg", "r.jpg"]
    with pytest.raises(OvertopError, match=r"set/captions\.jsonl has no split 'val'; its splits: test, train"):
        _fetch_and_read(source_files, entries, "val")


@pytest.mark.parametrize("annotations", ["captions.jsonl.gz", "dataset.json.gz"])
def test_gzipped_annotations_are_read(source_files, annotations):
    folder = source_files.add_folder("set", [_record("a.jpg")], annotations.removesuffix(".gz"))
    (folder / annotations).write_bytes(gzip.compress((folder / annotations.removesuffix(".gz")).read_bytes()))
    spec = KarpathyDataset(kind="karpathy", source=str(folder), annotations=annotations, captions_per_image="all")
    fetch("x", spec, "test", source_files.raw(), source_files.context())
    assert read_raw_split("x", spec, source_files.raw(), source_files.data, "test").captions == ["c0", "c1", "c2"]


def test_images_of_all_folders_are_copied_to_one_folder(source_files):
    split = _fetch_and_read(source_files, [_record("a.jpg", filepath="val2014"), _record("b.jpg")])
    assert split.image_paths == ["raw/x/test/images/a.jpg", "raw/x/test/images/b.jpg"]


def test_image_is_copied_from_path_of_its_record(source_files):
    folder = source_files.add_folder("set", [_record("renamed.jpg")])
    (folder / "elsewhere").mkdir()
    (folder / "images/renamed.jpg").rename(folder / "elsewhere/1.jpg")
    entry = {**_record("renamed.jpg"), "image": "../elsewhere/1.jpg", "karpathy_split": "val"}
    del entry["split"]
    (folder / "lines").mkdir()
    (folder / "lines/a.jsonl").write_text(json.dumps(entry))
    spec = KarpathyDataset(kind="karpathy", source=str(folder), annotations="lines/a.jsonl", captions_per_image=3)
    fetch("x", spec, "val", source_files.raw("val"), source_files.context())
    assert _list_files(source_files.raw("val")) == ["captions.jsonl", "images/renamed.jpg"]
    (folder / "lines/a.jsonl").write_text(json.dumps({**entry, "image": "../../outside.jpg"}))
    with pytest.raises(OvertopError, match="points outside"):
        fetch("x", spec, "val", source_files.raw("val"), source_files.context())


def test_judgments_are_copied_with_every_split(source_files):
    source_files.add_folder("set", [_record("a.jpg"), _record("b.jpg", "val")])
    (source_files.mirror / "set" / "ratings.txt").write_text("content")
    spec = KarpathyDataset(kind="karpathy", source="set", judgments={"crowd": "ratings.txt"})
    for split in ("test", "val"):
        fetch("x", spec, split, source_files.raw(split), source_files.context())
        assert (source_files.raw(split) / "ratings.txt").read_text() == "content"
    (source_files.mirror / "set" / "ratings.txt").unlink()
    with pytest.raises(OvertopError, match=r"ratings\.txt is missing"):
        fetch("x", spec, "test", source_files.raw(), source_files.context())


def test_split_that_differs_from_declared_counts_is_rejected(source_files):
    spec, *arguments = _fetch(
        source_files, [_record("a.jpg"), _record("b.jpg")], expect={"test": {"images": 2, "captions": 6}}
    )
    assert len(read_raw_split("x", spec, *arguments).captions) == 6
    wrong = spec.model_copy(update={"captions_per_image": 1})
    with pytest.raises(OvertopError, match=r"2 images and 2 captions.*expect\.test declares 2 and 6"):
        read_raw_split("x", wrong, *arguments)


def test_image_with_too_few_captions_is_rejected_unless_all_are_used(source_files):
    entries = [_record("a.jpg"), _record("b.jpg", captions=("c0", "c1"))]
    with pytest.raises(OvertopError, match=r"image 'b\.jpg' has 2 captions, and captions_per_image is 3"):
        _fetch_and_read(source_files, entries)
    assert len(_fetch_and_read(source_files, entries, captions_per_image="all").captions) == 5
    assert len(_fetch_and_read(source_files, entries, captions_per_image=2).captions) == 4


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
def test_invalid_annotations_are_one_line_error(source_files, entries, message):
    with pytest.raises(OvertopError, match=message):
        _fetch_and_read(source_files, entries)


def test_missing_annotations_are_reported(source_files):
    (source_files.mirror / "set").mkdir()
    with pytest.raises(OvertopError, match=r"set/captions\.jsonl is missing"):
        fetch("x", KarpathyDataset(kind="karpathy", source="set"), "test", source_files.raw(), source_files.context())


@pytest.mark.parametrize("outside", [{"filename": "../../../secret.jpg"}, {"filepath": "../../.."}])
def test_image_outside_folder_is_rejected(source_files, outside):
    folder = source_files.add_folder("set", [_record("a.jpg")])
    (folder / "captions.jsonl").write_text(json.dumps(_record("a.jpg") | outside))
    with pytest.raises(OvertopError, match="outside"):
        fetch("x", KarpathyDataset(kind="karpathy", source="set"), "test", source_files.raw(), source_files.context())


def test_missing_image_is_reported(source_files):
    folder = source_files.add_folder("set", [_record("a.jpg")])
    (folder / "images" / "a.jpg").unlink()
    with pytest.raises(OvertopError, match=r"a\.jpg is missing"):
        fetch("x", KarpathyDataset(kind="karpathy", source="set"), "test", source_files.raw(), source_files.context())


def test_missing_image_is_skipped_if_configured(source_files, caplog):
    folder = source_files.add_folder("set", [_record("a.jpg"), _record("b.jpg")])
    (folder / "images/a.jpg").unlink()
    spec = KarpathyDataset(kind="karpathy", source=str(folder), on_error="skip", captions_per_image=3)
    fetch("x", spec, "test", source_files.raw(), source_files.context())
    assert _list_files(source_files.raw()) == ["captions.jsonl", "images/b.jpg"]
    assert "a.jpg is missing" in caplog.text


def test_second_fetch_copies_nothing_and_removes_other_files(source_files):
    spec, raw, *_ = _fetch(source_files, [_record("a.jpg")])
    before = (raw / "images" / "a.jpg").stat().st_ino
    (raw / "images" / "of-another-source.jpg").write_text("")
    fetch("x", spec, "test", raw, source_files.context())
    assert (raw / "images" / "a.jpg").stat().st_ino == before
    assert _list_files(raw) == ["captions.jsonl", "images/a.jpg"]


# COCO's first test image with ids as in the package, and a train image that is not in the package.
COCO = [
    {"filename": "m.jpg", "split": "test", "image_id": 391895, "caption_ids": [770337, 771687], "captions": ["p", "q"]},
    {"filename": "t.jpg", "split": "train", "image_id": 9, "caption_ids": [48], "captions": ["r"]},
]


def _to_karpathy_json(record):
    sentences = [
        {"raw": caption, "sentid": number}
        for caption, number in zip(record["captions"], record["caption_ids"], strict=True)
    ]
    return {
        "filename": record["filename"],
        "split": record["split"],
        "cocoid": record["image_id"],
        "sentences": sentences,
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_only_test_split_has_extended_positives(source_files, as_json):
    entries = [_to_karpathy_json(record) for record in COCO] if as_json else COCO
    spec = {"annotations": "d.json" if as_json else "d.jsonl", "extended": ["cxc"], "captions_per_image": 1}
    assert [positives.tolist() for positives in _fetch_and_read(source_files, entries, **spec).extended] == [[0]]
    assert _fetch_and_read(source_files, entries, "train", **spec).extended is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 9}, "has no caption 770337 of image 9"),
        ({"caption_ids": [1, 771687]}, "has no caption 1 of image 391895"),
        ({"image_id": None}, "'m.jpg' lacks COCO's ids"),
        ({"caption_ids": None}, "'m.jpg' lacks COCO's ids"),
        ({"caption_ids": [770337]}, "'m.jpg' lacks COCO's ids"),
        ({"sentences": [{"raw": "p"}], "cocoid": 391895}, "'m.jpg' lacks COCO's ids"),
    ],
)
def test_unknown_and_missing_ids_are_reported(source_files, changes, message):
    with pytest.raises(OvertopError, match=message):
        _fetch_and_read(source_files, [{**COCO[0], **changes}], extended=["cxc"], captions_per_image="all")


@pytest.mark.parametrize(
    ("sources", "pairs", "captions", "images"),
    [(["cxc"], 35614, 8005, 3589), (["eccv"], 46442, 9145, 3269), (["cxc", "eccv"], 54157, 13212, 4494)],
)
def test_extended_positives_of_coco_have_expected_counts(tmp_path, mirror, sources, pairs, captions, images):
    """Expected counts come from a simple loop over the package's files."""
    annotations = mirror / "annotations" / "coco_karpathy_test.jsonl.gz"
    write_records(tmp_path, parse_split(annotations.name, annotations.read_bytes(), "test"))
    split = read("coco", KarpathyDataset(kind="karpathy", source="coco", extended=sources), tmp_path, "test")
    assert (len(split.image_ids), len(split.captions)) == (5000, 25000)
    n_positives = np.array([len(positives) for positives in split.extended])
    assert n_positives.sum() == pairs
    assert (n_positives > 1).sum() == captions
    assert all(own in positives for own, positives in zip(split.image_of_caption, split.extended, strict=True))
    other = pd.DataFrame(
        {"own": np.repeat(split.image_of_caption, n_positives), "image": np.concatenate(split.extended)}
    ).query("own != image")
    assert other["image"].nunique() == images


def test_partial_benchmarks_of_the_mirror_are_read(repo, tmp_path, mirror):
    """Their annotations have `karpathy_split` instead of `split`, and `image`, a path relative to the annotations."""
    values = read_committed_config(repo)["datasets"]
    for name, images in (("mscoco-subset", 49), ("flickr30k-subset", 239)):
        spec = KarpathyDataset.model_validate(values[name])
        raw = tmp_path / "raw" / name / "test"
        fetch(name, spec, "test", raw, FetchContext(str(mirror), 0, tmp_path, {}))
        split = read_raw_split(name, spec, raw, tmp_path, "test")
        assert (len(split.image_ids), len(split.captions)) == (images, 5 * images)


@pytest.fixture
def package_metrics():
    """The metrics of the package eccv_caption, which warns when it is imported without ujson."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("eccv_caption").Metrics()


@pytest.mark.parametrize(
    ("annotations", "judged"),
    [("annotations/coco_karpathy_test.jsonl.gz", [1332, 1261]), ("coco_mini/captions.jsonl", [16, 12])],
)
def test_eccv_recall_equals_that_of_its_package(tmp_path, mirror, package_metrics, annotations, judged):
    records = parse_split(annotations, (mirror / annotations).read_bytes(), "test")
    write_records(tmp_path, records)
    spec = KarpathyDataset(kind="karpathy", source="coco", extended=["eccv"])
    split = read("coco", spec, tmp_path, "test")
    coco_ids = {record.filename: record.image_id for record in records}
    coco_ids |= {f"{record.filename}#{k}": c for record in records for k, c in enumerate(record.caption_ids)}
    rng = np.random.default_rng(0)
    first_caption = np.searchsorted(split.image_of_caption, np.arange(len(split.image_ids)))
    for direction, queries, gallery, own, n_judged in (
        ("t2i", split.caption_ids, split.image_ids, split.image_of_caption, judged[0]),
        ("i2t", split.image_ids, split.caption_ids, first_caption, judged[1]),
    ):
        top1 = np.where(rng.random(len(queries)) < 0.6, own, rng.integers(0, len(gallery), len(queries)))
        hits = eccv_hits(
            split, direction, SimpleNamespace(query_ids=queries, gallery_ids=gallery, top_ids=top1[:, None])
        )
        retrieved = {coco_ids[query]: [coco_ids[gallery[item]]] for query, item in zip(queries, top1, strict=True)}
        lists = package_metrics.eccv_gts[direction]
        package_metrics.eccv_gts[direction] = {query: lists[query] for query in lists if query in retrieved}
        expected = package_metrics.eccv_recalls({direction: retrieved}, direction, K=1)[direction]
        assert np.isfinite(hits).sum() == n_judged
        assert np.nanmean(hits) == pytest.approx(expected, abs=1e-12)
