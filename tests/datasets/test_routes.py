"""Photographs by archives and by shards: the same split as from a folder, or an error that says what is amiss."""

import json

import pytest

from overtop.config.datasets import KarpathyDataset
from overtop.config.sources import FolderSource
from overtop.datasets.karpathy import fetch
from overtop.datasets.registry import read_checked
from overtop.errors import OvertopError


def _entry(number, split, folder="val2014", captions=None):
    name = f"COCO_{folder}_{number:012d}.jpg"
    captions = captions or [f"caption {k} of {number}" for k in range(5)]
    sentences = [{"raw": text, "sentid": 10 * number + k} for k, text in enumerate(captions)]
    return {"filename": name, "filepath": folder, "split": split, "cocoid": number, "sentences": sentences}


# As COCO's are: a sixth caption, spaces and newlines about, the words of one caption twice, a folder that others lack.
ENTRIES = [
    _entry(3, "test", captions=["a dog", "a  dog.", "dogs \n", "one\ndog", "a dog", "the sixth"]),
    _entry(1, "test"),
    _entry(9, "train", "train2014"),
    _entry(4, "restval"),
    _entry(5, "val"),
    _entry(2, "test"),
]
NAMES = {"test": [3, 1, 2], "train": [9, 4], "val": [5]}
JSON = json.dumps({"images": ENTRIES}).encode()
ANNOTATED = {"annotations": "splits", "member": "dataset_coco.json"}
SHARDS = {"kind": "shards", "shards": "shards", **ANNOTATED}
ARCHIVES = {"kind": "archives", "images": ["val2014", "train2014"], **ANNOTATED}


def _pixels(filename):
    """What stands for an image, as the folder of the fixture `place` has it."""
    return b"jpeg of " + filename.encode()


def _of(split):
    wanted = ("train", "restval") if split == "train" else (split,)
    return [entry for entry in ENTRIES if entry["split"] in wanted]


def _sample(key, entry, order=1):
    captions = [sentence["raw"].replace("\n", "\\n") for sentence in entry["sentences"]][::order]
    return {f"{key}.jpg": _pixels(entry["filename"]), f"{key}.txt": "\n".join(captions).encode()}


def _shards(split):
    """Two shards, whose order of images and captions is not that of the annotations."""
    first, *rest = [_sample(f"s{i:07d}", entry, -1) for i, entry in enumerate(_of(split)[::-1])]
    return [first, {name: content for sample in rest for name, content in sample.items()}]


def _archive(folder, of=ENTRIES):
    return {f"{folder}/{e['filename']}": _pixels(e["filename"]) for e in of if e["filepath"] == folder}


@pytest.fixture
def sources(place):
    """Karpathy's zip, COCO's two, and shards of the test split."""
    return {
        "splits": place.zip("splits", {"dataset_coco.json": JSON, "dataset_flickr8k.json": b"{}"}),
        "val2014": place.zip("val2014", {"val2014/": b"", **_archive("val2014")}),
        "train2014": place.zip("train2014", _archive("train2014")),
        "shards": place.shards("shards", "test", _shards("test")),
    }


def _spec(*routes, **more):
    return KarpathyDataset(kind="karpathy", routes=list(routes), **more)


def _fetch(place, sources, *routes, split="test", **more):
    fetch("x", _spec(*routes, **more), split, place.raw(split), place.context(**sources))


def _state(raw):
    return {str(p.relative_to(raw)): p.read_bytes() for p in raw.rglob("*") if p.is_file()}


def test_three_ways_lead_to_the_same_split(place, sources):
    place.folder("coco", ENTRIES, "dataset.json")
    folder = KarpathyDataset(kind="karpathy", source="coco", annotations="dataset.json")
    states, splits = [], []
    for spec in (folder, _spec(ARCHIVES), _spec(SHARDS)):
        raw = place.data / "raw" / str(len(states)) / "test"
        fetch("x", spec, "test", raw, place.context(**sources))
        states.append(_state(raw))
        splits.append(read_checked("x", spec, raw, place.data, "test"))
    assert states[0] == states[1] == states[2]
    assert splits[0].image_ids == [f"COCO_val2014_{number:012d}.jpg" for number in NAMES["test"]]
    assert set(states[0]) == {"captions.jsonl", *(f"images/{name}" for name in splits[0].image_ids)}
    assert all(states[0][f"images/{name}"] == _pixels(name) for name in splits[0].image_ids)
    first = json.loads(states[0]["captions.jsonl"].decode().split("\n")[0])
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


def test_the_train_split_is_gathered_from_both_archives(place, sources):
    _fetch(place, sources, ARCHIVES, split="train")
    split = read_checked("x", _spec(ARCHIVES), place.raw("train"), place.data, "train")
    assert split.image_ids == ["COCO_train2014_000000000009.jpg", "COCO_val2014_000000000004.jpg"]


def test_an_archive_that_is_not_needed_is_not_brought(place, sources):
    (place.data / "downloads" / "train2014" / "train2014.zip").unlink()
    _fetch(place, sources, ARCHIVES)
    with pytest.raises(OvertopError, match=r"train2014\.zip"):
        _fetch(place, sources, ARCHIVES, split="train")


@pytest.mark.parametrize("member", ["", "dataset_coco.json"])
def test_annotations_may_be_a_file_of_their_own(place, sources, member):
    if member:
        (place.mirror / "splits").mkdir()
        (place.mirror / "splits" / member).write_bytes(JSON)
        sources["splits"] = FolderSource(kind="folder", path="splits")
    else:
        sources["splits"] = place.file("splits", "dataset_coco.json", JSON)
    _fetch(place, sources, {**ARCHIVES, "member": member})
    assert len(_state(place.raw())) == 4


def test_shards_without_annotations_name_themselves(place, sources):
    route = {"kind": "shards", "shards": "shards"}
    _fetch(place, sources, route)
    split = read_checked("x", _spec(route), place.raw(), place.data, "test")
    assert split.image_ids == ["s0000000.jpg", "s0000001.jpg", "s0000002.jpg"]
    assert split.captions[5:10] == [f"caption {k} of 1" for k in (4, 3, 2, 1, 0)]
    assert (place.data / split.image_paths[1]).read_bytes() == _pixels("COCO_val2014_000000000001.jpg")


def test_the_folder_comes_first_and_its_faults_are_told(place, sources):
    folder = place.folder("coco", [{"filename": "own.jpg", "captions": ["mine"]}])
    _fetch(place, sources, SHARDS, source="coco")
    assert set(_state(place.raw())) == {"captions.jsonl", "images/own.jpg"}
    (folder / "images" / "own.jpg").unlink()
    (place.raw() / "images" / "own.jpg").unlink()
    with pytest.raises(OvertopError, match=r"own\.jpg is missing; complete the source"):
        _fetch(place, sources, SHARDS, source="coco")


def test_without_the_folder_the_first_route_that_leads_there_is_taken(place, sources):
    (place.mirror / "shards" / "test" / "1.tar").unlink()
    elsewhere = {**ARCHIVES, "splits": ["train"]}
    _fetch(place, sources, elsewhere, SHARDS, ARCHIVES, source="not-there")
    assert len(_state(place.raw())) == 4


def test_when_no_way_leads_there_one_error_lists_all(place, sources):
    (place.mirror / "shards" / "test" / "1.tar").unlink()
    (place.data / "downloads" / "val2014" / "val2014.zip").write_bytes(b"<html>")
    elsewhere = {**ARCHIVES, "splits": ["train", "val"]}
    with pytest.raises(OvertopError) as caught:
        _fetch(place, sources, elsewhere, SHARDS, ARCHIVES, source="not-there")
    text = str(caught.value)
    reasons = [
        "data set 'x', split 'test': no way leads to it: (0) ",
        "not-there does not exist; correct `mirror` or datasets.x.source; (1) route archives (val2014, train2014): ",
        "is for train, val alone; (2) route shards (shards): ",
        "1.tar is missing",
        "(3) route archives (val2014, train2014): ",
        "val2014.zip: cannot be unpacked",
    ]
    places = [text.index(reason) for reason in reasons]
    assert places == sorted(places)
    assert "\n" not in text


def test_a_split_that_the_annotations_lack_is_told_with_those_they_have(place, sources):
    with pytest.raises(OvertopError, match=r"dataset_coco\.json has no split 'dev'; its splits: test, train, val"):
        _fetch(place, sources, ARCHIVES, split="dev")


def test_a_missing_image_is_told_with_its_archives(place, sources):
    sources["val2014"] = place.zip("val2014", _archive("val2014", _of("val")))
    message = (
        r"val2014\.zip and .*train2014\.zip: no member 'COCO_val2014_000000000003\.jpg', and 3 images of split 'test'"
    )
    with pytest.raises(OvertopError, match=message):
        _fetch(place, sources, ARCHIVES)


def test_images_come_from_files(place, sources):
    with pytest.raises(OvertopError, match=r"sources\.shards is not of kind file"):
        _fetch(place, sources, {**ARCHIVES, "images": ["shards"]})


def test_a_wrong_member_is_told_with_those_there_are(place, sources):
    with pytest.raises(OvertopError, match=r"its JSON files: dataset_coco\.json, dataset_flickr8k\.json"):
        _fetch(place, sources, {**SHARDS, "member": "coco.json"})


def _with_shards(place, sources, *shards):
    sources["shards"] = place.shards("others", "test", shards)
    return sources


def test_captions_of_two_images_are_ambiguous(place, sources):
    twins = [_entry(1, "test", captions=["same"] * 5), _entry(2, "test", captions=["same"] * 5)]
    content = json.dumps({"images": twins}).encode()
    sources["splits"] = place.zip("splits", {"dataset_coco.json": content})
    message = r"0\.tar: sample 's\.jpg' has the captions of 'COCO_val2014_000000000001\.jpg' and 'COCO_.*2\.jpg'"
    with pytest.raises(OvertopError, match=message):
        _fetch(place, _with_shards(place, sources, _sample("s", twins[0])), SHARDS)


@pytest.mark.parametrize("entry", [_entry(7, "test"), _of("val")[0], _entry(1, "test", captions=["caption 0 of 1"])])
def test_captions_of_no_image_are_told(place, sources, entry):
    with pytest.raises(OvertopError, match=r"sample 's\.jpg' has the captions of no image of the annotations"):
        _fetch(place, _with_shards(place, sources, _sample("s", entry)), SHARDS)


def test_an_image_that_comes_twice_is_told(place, sources):
    one = _of("test")[0]
    with pytest.raises(OvertopError, match=r"1\.tar: sample 't\.jpg' is image 'COCO_.*3\.jpg', which came before"):
        _fetch(place, _with_shards(place, sources, _sample("s", one), _sample("t", one)), SHARDS)
    sources["shards"] = place.shards("again", "test", [_sample("s", one), _sample("s", one)])
    with pytest.raises(OvertopError, match=r"1\.tar: sample 's\.jpg' is image 's\.jpg', which came before"):
        _fetch(place, sources, {"kind": "shards", "shards": "shards"})


@pytest.mark.parametrize(
    ("number", "message"),
    [("1", r"lack image 'COCO_.*3\.jpg' and 2 of the annotations' images"), ("3", r"2\.tar is missing"), ("x", "'x'")],
)
def test_a_wrong_number_of_shards_is_told(place, sources, number, message):
    (place.mirror / "shards" / "test" / "nshards.txt").write_text(number)
    with pytest.raises(OvertopError, match=message):
        _fetch(place, sources, SHARDS)


@pytest.mark.parametrize("annotated", [True, False])
def test_no_name_leads_out_of_the_folder(place, sources, annotated):
    outside = "../" * 9 + str(place.mirror).removeprefix("/") + "/stolen.jpg"
    entry = _entry(1, "test") | {"filename": outside}
    if annotated:
        content = json.dumps({"images": [entry]}).encode()
        sources["splits"] = place.zip("splits", {"dataset_coco.json": content})
        sources["val2014"] = place.zip("val2014", {outside: b"x"})
        sources = _with_shards(place, sources, _sample("s", entry))
        routes = [ARCHIVES, SHARDS]
    else:
        sources = _with_shards(place, sources, _sample(outside.removesuffix(".jpg"), entry))
        routes = [{"kind": "shards", "shards": "shards"}]
    for route in routes:
        with pytest.raises(OvertopError, match="points outside"):
            _fetch(place, sources, route)
    assert not (place.mirror / "stolen.jpg").exists()


def test_another_way_leaves_nothing_of_the_first(place, sources):
    _fetch(place, sources, {"kind": "shards", "shards": "shards"})
    _fetch(place, sources, ARCHIVES)
    assert not [name for name in _state(place.raw()) if name.startswith("images/s0")]
