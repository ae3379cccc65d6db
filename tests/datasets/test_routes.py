"""Downloads by archives and by shards give the same split as a local folder, or a one-line error."""

import json

import pytest

from overtop.config.datasets import KarpathyDataset
from overtop.config.sources import FolderSource
from overtop.datasets.karpathy import fetch
from overtop.datasets.registry import read_raw_split
from overtop.errors import OvertopError


def _entry(number, split, folder="val2014", captions=None):
    name = f"COCO_{folder}_{number:012d}.jpg"
    captions = captions or [f"caption {k} of {number}" for k in range(5)]
    sentences = [{"raw": text, "sentid": 10 * number + k} for k, text in enumerate(captions)]
    return {"filename": name, "filepath": folder, "split": split, "cocoid": number, "sentences": sentences}


# Difficult cases of COCO: a sixth caption, extra spaces and newlines, equal captions, and a second folder.
ENTRIES = [
    _entry(3, "test", captions=["a dog", "a  dog.", "dogs \n", "one\ndog", "a dog", "the sixth"]),
    _entry(1, "test"),
    _entry(9, "train", "train2014"),
    _entry(4, "restval"),
    _entry(5, "val"),
    _entry(2, "test"),
]
NUMBERS = {"test": [3, 1, 2], "train": [9, 4], "val": [5]}
JSON = json.dumps({"images": ENTRIES}).encode()
ANNOTATED = {"annotations": "splits", "member": "dataset_coco.json"}
SHARDS = {"kind": "shards", "shards": "shards", **ANNOTATED}
ARCHIVES = {"kind": "archives", "images": ["val2014", "train2014"], **ANNOTATED}


def _image_bytes(filename):
    """The content of an image file, as the fixture `source_files` writes it."""
    return b"jpeg of " + filename.encode()


def _entries(split):
    names = ("train", "restval") if split == "train" else (split,)
    return [entry for entry in ENTRIES if entry["split"] in names]


def _sample(key, entry, order=1):
    captions = [sentence["raw"].replace("\n", "\\n") for sentence in entry["sentences"]][::order]
    return {f"{key}.jpg": _image_bytes(entry["filename"]), f"{key}.txt": "\n".join(captions).encode()}


def _shard_members(split):
    """Two shards, with images and captions in another order than in the annotations."""
    first, *rest = [_sample(f"s{i:07d}", entry, -1) for i, entry in enumerate(_entries(split)[::-1])]
    return [first, {name: content for sample in rest for name, content in sample.items()}]


def _archive_members(folder, entries=ENTRIES):
    return {f"{folder}/{e['filename']}": _image_bytes(e["filename"]) for e in entries if e["filepath"] == folder}


@pytest.fixture
def sources(source_files):
    """A zip of annotations, two zips of images, and shards of the test split."""
    return {
        "splits": source_files.add_zip("splits", {"dataset_coco.json": JSON, "dataset_flickr8k.json": b"{}"}),
        "val2014": source_files.add_zip("val2014", {"val2014/": b"", **_archive_members("val2014")}),
        "train2014": source_files.add_zip("train2014", _archive_members("train2014")),
        "shards": source_files.add_shards("shards", "test", _shard_members("test")),
    }


def _spec(*routes, **keys):
    return KarpathyDataset(kind="karpathy", routes=list(routes), **keys)


def _fetch(source_files, sources, *routes, split="test", **keys):
    fetch("x", _spec(*routes, **keys), split, source_files.raw(split), source_files.context(**sources))


def _file_contents(raw):
    return {str(p.relative_to(raw)): p.read_bytes() for p in raw.rglob("*") if p.is_file()}


def test_folder_archives_and_shards_give_the_same_split(source_files, sources):
    source_files.add_folder("coco", ENTRIES, "dataset.json")
    folder = KarpathyDataset(kind="karpathy", source="coco", annotations="dataset.json")
    contents, splits = [], []
    for spec in (folder, _spec(ARCHIVES), _spec(SHARDS)):
        raw = source_files.data / "raw" / str(len(contents)) / "test"
        fetch("x", spec, "test", raw, source_files.context(**sources))
        contents.append(_file_contents(raw))
        splits.append(read_raw_split("x", spec, raw, source_files.data, "test"))
    assert contents[0] == contents[1] == contents[2]
    assert splits[0].image_ids == [f"COCO_val2014_{number:012d}.jpg" for number in NUMBERS["test"]]
    assert set(contents[0]) == {"captions.jsonl", *(f"images/{name}" for name in splits[0].image_ids)}
    assert all(contents[0][f"images/{name}"] == _image_bytes(name) for name in splits[0].image_ids)
    first = json.loads(contents[0]["captions.jsonl"].decode().split("\n")[0])
    captions = ["a dog", "a  dog.", "dogs \n", "one\ndog", "a dog", "the sixth"]
    assert first == {
        "filename": splits[0].image_ids[0],
        "captions": captions,
        "image_id": 3,
        "caption_ids": [30, 31, 32, 33, 34, 35],
    }
    for split in splits:
        assert split.captions[:5] == captions[:5]
        assert (split.image_ids, split.caption_ids) == (splits[0].image_ids, splits[0].caption_ids)


def test_train_split_is_extracted_from_both_archives(source_files, sources):
    _fetch(source_files, sources, ARCHIVES, split="train")
    split = read_raw_split("x", _spec(ARCHIVES), source_files.raw("train"), source_files.data, "train")
    assert split.image_ids == ["COCO_train2014_000000000009.jpg", "COCO_val2014_000000000004.jpg"]


def test_archive_that_is_not_needed_is_not_fetched(source_files, sources):
    (source_files.data / "downloads" / "train2014" / "train2014.zip").unlink()
    _fetch(source_files, sources, ARCHIVES)
    with pytest.raises(OvertopError, match=r"train2014\.zip"):
        _fetch(source_files, sources, ARCHIVES, split="train")


@pytest.mark.parametrize("member", ["", "dataset_coco.json"])
def test_annotations_may_be_a_separate_file(source_files, sources, member):
    if member:
        (source_files.mirror / "splits").mkdir()
        (source_files.mirror / "splits" / member).write_bytes(JSON)
        sources["splits"] = FolderSource(kind="folder", path="splits")
    else:
        sources["splits"] = source_files.add_file("splits", "dataset_coco.json", JSON)
    _fetch(source_files, sources, {**ARCHIVES, "member": member})
    assert len(_file_contents(source_files.raw())) == 4


def test_shards_without_annotations_use_sample_names(source_files, sources):
    route = {"kind": "shards", "shards": "shards"}
    _fetch(source_files, sources, route)
    split = read_raw_split("x", _spec(route), source_files.raw(), source_files.data, "test")
    assert split.image_ids == ["s0000000.jpg", "s0000001.jpg", "s0000002.jpg"]
    assert split.captions[5:10] == [f"caption {k} of 1" for k in (4, 3, 2, 1, 0)]
    assert (source_files.data / split.image_paths[1]).read_bytes() == _image_bytes("COCO_val2014_000000000001.jpg")


def test_error_in_existing_folder_is_reported_before_routes(source_files, sources):
    folder = source_files.add_folder("coco", [{"filename": "own.jpg", "captions": ["mine"]}])
    _fetch(source_files, sources, SHARDS, source="coco")
    assert set(_file_contents(source_files.raw())) == {"captions.jsonl", "images/own.jpg"}
    (folder / "images" / "own.jpg").unlink()
    (source_files.raw() / "images" / "own.jpg").unlink()
    with pytest.raises(OvertopError, match=r"own\.jpg is missing; complete the source"):
        _fetch(source_files, sources, SHARDS, source="coco")


def test_first_successful_route_is_used_without_folder(source_files, sources):
    (source_files.mirror / "shards" / "test" / "1.tar").unlink()
    other_splits = {**ARCHIVES, "splits": ["train"]}
    _fetch(source_files, sources, other_splits, SHARDS, ARCHIVES, source="not-there")
    assert len(_file_contents(source_files.raw())) == 4


def test_error_lists_reasons_of_folder_and_all_routes(source_files, sources):
    (source_files.mirror / "shards" / "test" / "1.tar").unlink()
    (source_files.data / "downloads" / "val2014" / "val2014.zip").write_bytes(b"<html>")
    other_splits = {**ARCHIVES, "splits": ["train", "val"]}
    with pytest.raises(OvertopError) as caught:
        _fetch(source_files, sources, other_splits, SHARDS, ARCHIVES, source="not-there")
    message = str(caught.value)
    reasons = [
        "data set 'x', split 'test': could not be fetched: (0) ",
        "not-there does not exist; correct `mirror` or the path; (1) route archives (val2014, train2014): ",
        "offers only train, val; (2) route shards (shards): ",
        "1.tar is missing",
        "(3) route archives (val2014, train2014): ",
        "val2014.zip: cannot be decompressed",
    ]
    positions = [message.index(reason) for reason in reasons]
    assert positions == sorted(positions)
    assert "\n" not in message


def test_missing_split_is_reported_with_available_splits(source_files, sources):
    with pytest.raises(OvertopError, match=r"dataset_coco\.json has no split 'dev'; its splits: test, train, val"):
        _fetch(source_files, sources, ARCHIVES, split="dev")


def test_missing_image_is_reported_with_searched_archives(source_files, sources):
    sources["val2014"] = source_files.add_zip("val2014", _archive_members("val2014", _entries("val")))
    message = r"val2014\.zip and .*train2014\.zip: no member 'COCO_val2014_000000000003\.jpg'; 3 images of split 'test'"
    with pytest.raises(OvertopError, match=message):
        _fetch(source_files, sources, ARCHIVES)


def test_images_of_a_source_that_is_not_a_file_are_rejected(source_files, sources):
    with pytest.raises(OvertopError, match=r"sources\.shards is not of kind file"):
        _fetch(source_files, sources, {**ARCHIVES, "images": ["shards"]})


def test_unknown_member_is_reported_with_available_members(source_files, sources):
    with pytest.raises(OvertopError, match=r"its JSON files: dataset_coco\.json, dataset_flickr8k\.json"):
        _fetch(source_files, sources, {**SHARDS, "member": "coco.json"})


def _replace_shards(source_files, sources, *shards):
    sources["shards"] = source_files.add_shards("others", "test", shards)
    return sources


def test_sample_with_captions_of_two_images_is_rejected(source_files, sources):
    twins = [_entry(1, "test", captions=["same"] * 5), _entry(2, "test", captions=["same"] * 5)]
    content = json.dumps({"images": twins}).encode()
    sources["splits"] = source_files.add_zip("splits", {"dataset_coco.json": content})
    message = r"0\.tar: sample 's\.jpg' has the captions of 'COCO_val2014_000000000001\.jpg' and 'COCO_.*2\.jpg'"
    with pytest.raises(OvertopError, match=message):
        _fetch(source_files, _replace_shards(source_files, sources, _sample("s", twins[0])), SHARDS)


@pytest.mark.parametrize(
    "entry", [_entry(7, "test"), _entries("val")[0], _entry(1, "test", captions=["caption 0 of 1"])]
)
def test_sample_with_captions_of_no_image_is_rejected(source_files, sources, entry):
    with pytest.raises(OvertopError, match=r"sample 's\.jpg' has the captions of no image of the annotations"):
        _fetch(source_files, _replace_shards(source_files, sources, _sample("s", entry)), SHARDS)


def test_image_that_occurs_twice_is_rejected(source_files, sources):
    one = _entries("test")[0]
    with pytest.raises(OvertopError, match=r"1\.tar: sample 't\.jpg': 'COCO_.*3\.jpg' occurs more than once"):
        _fetch(source_files, _replace_shards(source_files, sources, _sample("s", one), _sample("t", one)), SHARDS)
    sources["shards"] = source_files.add_shards("again", "test", [_sample("s", one), _sample("s", one)])
    with pytest.raises(OvertopError, match=r"1\.tar: sample 's\.jpg': 's\.jpg' occurs more than once"):
        _fetch(source_files, sources, {"kind": "shards", "shards": "shards"})


@pytest.mark.parametrize(
    ("number", "message"),
    [("1", r"lack image 'COCO_.*3\.jpg'; 2 images of the annotations"), ("3", r"2\.tar is missing"), ("x", "'x'")],
)
def test_wrong_number_of_shards_is_rejected(source_files, sources, number, message):
    (source_files.mirror / "shards" / "test" / "nshards.txt").write_text(number)
    with pytest.raises(OvertopError, match=message):
        _fetch(source_files, sources, SHARDS)


@pytest.mark.parametrize("annotated", [True, False])
def test_image_name_outside_folder_is_rejected(source_files, sources, annotated):
    outside = "../" * 9 + str(source_files.mirror).removeprefix("/") + "/stolen.jpg"
    entry = _entry(1, "test") | {"filename": outside}
    if annotated:
        content = json.dumps({"images": [entry]}).encode()
        sources["splits"] = source_files.add_zip("splits", {"dataset_coco.json": content})
        sources["val2014"] = source_files.add_zip("val2014", {outside: b"x"})
        sources = _replace_shards(source_files, sources, _sample("s", entry))
        routes = [ARCHIVES, SHARDS]
    else:
        sources = _replace_shards(source_files, sources, _sample(outside.removesuffix(".jpg"), entry))
        routes = [{"kind": "shards", "shards": "shards"}]
    for route in routes:
        with pytest.raises(OvertopError, match="points outside"):
            _fetch(source_files, sources, route)
    assert not (source_files.mirror / "stolen.jpg").exists()


def test_fetch_by_another_route_removes_previous_images(source_files, sources):
    _fetch(source_files, sources, {"kind": "shards", "shards": "shards"})
    _fetch(source_files, sources, ARCHIVES)
    assert not [name for name in _file_contents(source_files.raw()) if name.startswith("images/s0")]
