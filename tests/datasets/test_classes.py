"""Labelled images in every layout: the same split from each, held-out splits, limits, and one-line errors."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from helpers.pipeline import read_committed_config
from overtop.config.datasets import ClassesDataset
from overtop.config.sources import FolderSource, HubSource
from overtop.datasets import registry
from overtop.datasets.draws import draw_items
from overtop.datasets.raw import FetchContext
from overtop.errors import OvertopError

TEMPLATES = "a photo of a {c}.\n\na drawing of a {c}.\n"


def encode_image(number, mode="RGB", size=(8, 8)):
    content = io.BytesIO()
    Image.new(mode, size, 10 * number).save(content, "PNG")
    return content.getvalue()


def make_shards(n_images=6, n_shards=2, classes=3):
    """Members of shards whose image k has class k % `classes`."""
    samples = [{f"s{k}.png": encode_image(k), f"s{k}.cls": str(k % classes).encode()} for k in range(n_images)]
    shards = [{} for _ in range(n_shards)]
    for k, sample in enumerate(samples):
        shards[k * n_shards // n_images] |= sample
    return shards


def add_shards(source_files, shards=None, name="set", split="test", names="cat\ndog\ncat\n", templates=TEMPLATES):
    """Write shards with class names and templates; returns an entry that reads them."""
    source_files.add_shards(name, split, make_shards() if shards is None else shards)
    files = {"classnames.txt": names, "zeroshot_classification_templates.txt": templates}
    for file, text in files.items():
        if text is not None:
            (source_files.mirror / name / file).write_text(text)
    return {"layout": "shards", "source": name}


def labels_of(split):
    return [images.tolist() for images in split.labels]


def test_shards_give_labels_names_and_templates(source_files):
    split = source_files.fetch_classes(add_shards(source_files))
    assert split.image_ids == [f"s{k}.png" for k in range(6)]
    assert split.captions == ["cat", "dog", "cat"]
    assert split.caption_ids == ["0", "1", "2"]
    assert labels_of(split) == [[0, 3], [1, 4], [2, 5]]
    assert split.templates == ["a photo of a {c}.", "a drawing of a {c}."]
    assert (source_files.data / split.image_paths[4]).read_bytes() == encode_image(4)


def test_class_without_images_is_kept(source_files):
    files = add_shards(source_files, make_shards(classes=2))
    assert labels_of(source_files.fetch_classes(files)) == [[0, 2, 4], [1, 3, 5], []]


@pytest.mark.parametrize("templates", [None, "\n"])
def test_missing_templates_are_replaced_by_the_default(source_files, templates):
    files = add_shards(source_files, templates=templates)
    assert source_files.fetch_classes(files).templates == ["a photo of a {c}."]


def test_templates_of_the_entry_replace_those_of_the_files(source_files):
    split = source_files.fetch_classes(add_shards(source_files), templates=["{c}"])
    assert split.templates == ["{c}"]


def test_shards_of_a_source_are_those_of_a_folder(source_files):
    expected = source_files.fetch_classes(add_shards(source_files))
    sources = {"set": FolderSource(kind="folder", path="set")}
    files = {"layout": "shards", "download": "set"}
    split = source_files.fetch_classes(files, sources=sources)
    assert (split.image_ids, labels_of(split)) == (expected.image_ids, labels_of(expected))
    (source_files.mirror / "set" / "zeroshot_classification_templates.txt").unlink()
    assert source_files.fetch_classes(files, sources=sources).templates == ["a photo of a {c}."]


def test_split_may_have_another_folder(source_files):
    files = add_shards(source_files, split="validation") | {"splits": {"val": "validation"}}
    assert len(source_files.fetch_classes(files, "val").image_ids) == 6
    with pytest.raises(OvertopError, match=r"datasets\.x has no split 'test'; its splits: val"):
        source_files.fetch_classes(files)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shards": [{"s.png": b"A", "s.cls": b"3"}]}, r"0\.tar: the label of sample 's\.png' is '3'"),
        ({"shards": [{"s.png": b"A", "s.cls": b"cat"}]}, r"'cat', not a number from 0 to 2"),
        ({"shards": [{"s.png": b"A", "s.txt": b"0"}]}, r"sample 's' has s\.png, s\.txt; it needs one image"),
        ({"shards": [{"s.png": b"A", "s.cls": b"0"}] * 2}, r"'s\.png' occurs more than once"),
        ({"shards": [{}]}, "its files contain no image"),
        ({"shards": [{"../s.png": b"A", "../s.cls": b"0"}]}, "points outside"),
        ({"names": "cat\n\ndog\n"}, r"classnames\.txt: class 1 has no name"),
        ({"names": ""}, r"classnames\.txt: class 0 has no name"),
        ({"names": None}, r"datasets\.x\.files\.source: .*classnames\.txt is missing"),
        ({"templates": "a photo of a {}."}, r"templates\.txt: template 'a photo of a {}\.' has no {c}"),
    ],
)
def test_mistake_in_shards_is_one_line_error(source_files, changes, message):
    files = add_shards(source_files, **changes)
    with pytest.raises(OvertopError, match=message) as caught:
        source_files.fetch_classes(files)
    assert "\n" not in str(caught.value)


def test_truncated_shard_is_rejected(source_files):
    files = add_shards(source_files)
    path = source_files.mirror / "set" / "test" / "1.tar"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(OvertopError, match=r"1\.tar: .*(damaged|get it again)"):
        source_files.fetch_classes(files)


def test_limit_of_shards_is_their_beginning_and_needs_no_further_shards(source_files):
    files = add_shards(source_files)
    (source_files.mirror / "set" / "test" / "1.tar").unlink()
    split = source_files.fetch_classes(files, limit={"test": 3})
    assert split.image_ids == ["s0.png", "s1.png", "s2.png"]
    with pytest.raises(OvertopError, match=r"1\.tar is missing"):
        source_files.fetch_classes(files, limit={"test": 4})


def test_refetch_with_a_lower_limit_removes_images(source_files):
    files = add_shards(source_files)
    source_files.fetch_classes(files)
    source_files.fetch_classes(files, limit={"test": 2})
    images = sorted(path.name for path in (source_files.raw() / "images").iterdir())
    assert images == ["s0.png", "s1.png"]


def test_held_out_split_is_disjoint_and_complements_its_origin(source_files):
    files = add_shards(source_files, make_shards(n_images=40), split="train")
    keys = {"held_out": {"val": {"of": "train", "share": 0.25, "seed": 3}}}
    train, val = (source_files.fetch_classes(files, split, **keys) for split in ("train", "val"))
    drawn = draw_items([f"s{k}.png" for k in range(40)], 10, 3, "held_out")
    assert val.image_ids == [f"s{k}.png" for k in np.flatnonzero(drawn)]
    assert train.image_ids == [f"s{k}.png" for k in np.flatnonzero(~drawn)]
    for split in (train, val):
        for number, images in enumerate(labels_of(split)):
            assert all(int(split.image_ids[i][1:-4]) % 3 == number for i in images)


def test_limit_applies_after_the_held_out_images_are_removed(source_files):
    files = add_shards(source_files, make_shards(n_images=40), split="train")
    held_out = {"val": {"of": "train", "share": 0.25}}
    whole = source_files.fetch_classes(files, "train", held_out=held_out)
    limits = {"train": 5, "val": 100}
    assert source_files.fetch_classes(files, "train", held_out=held_out, limit=limits).image_ids == whole.image_ids[:5]
    assert len(source_files.fetch_classes(files, "val", held_out=held_out, limit=limits).image_ids) == 10


def test_share_without_images_is_rejected(source_files):
    files = add_shards(source_files, split="train")
    with pytest.raises(OvertopError, match=r"a share of 0\.01 of 6 images is none; change the shares"):
        source_files.fetch_classes(files, "val", held_out={"val": {"of": "train", "share": 0.01}})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"held_out": {"test": {"of": "train"}}}, "held_out.test: the files have this split"),
        ({"held_out": {"val": {"of": "dev"}}}, "held_out.val.of: the files have no split 'dev'"),
        ({"split": {"val": 0.2}}, "the entry names the splits train, test"),
        ({"held_out": {"val": {"of": "train", "share": 1}}}, "less than 1"),
        ({"limit": {"dev": 5}}, "limit.dev: there is no split"),
        ({"limit": {"test": 0}}, "greater than or equal to 1"),
        ({"templates": []}, "at least 1 item"),
        ({"templates": ["a photo"]}, "should match pattern"),
        ({"files": {"layout": "shards"}}, "give either `source`"),
        ({"files": {"layout": "shards", "source": "a", "download": "b"}}, "give either `source`"),
        ({"files": {"layout": "shard", "source": "a"}}, "does not match any of the expected tags"),
    ],
)
def test_mistake_in_the_entry_is_rejected(keys, message):
    with pytest.raises(ValidationError, match=message):
        ClassesDataset.model_validate({"kind": "classes", "files": {"layout": "shards", "source": "a"}} | keys)


def test_counts_other_than_declared_are_one_line_error(source_files):
    files = add_shards(source_files)
    source_files.fetch_classes(files, expect={"test": {"images": 6, "classes": 3}})
    with pytest.raises(
        OvertopError, match=r"has 6 images and 3 classes, but datasets\.x\.expect\.test declares 6 and 4"
    ):
        source_files.fetch_classes(files, expect={"test": {"images": 6, "classes": 4}})


def test_hub_repository_is_read_and_limited(source_files, hub):
    add_shards(source_files, templates=None)
    folder = source_files.mirror / "set"
    members = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    for name in members:
        hub.add_file(f"hub/datasets/clip-benchmark/wds_set/{name}", (folder / name).read_bytes())
    source = {"set": HubSource(kind="hub", repo="clip-benchmark/wds_set", licence="none")}
    files = {"layout": "shards", "download": "set"}
    assert source_files.fetch_classes(files, sources=source, limit={"test": 2}).image_ids == ["s0.png", "s1.png"]
    assert not hub.requests_for("test/1.tar")
    split = source_files.fetch_classes(files, sources=source)
    assert labels_of(split) == [[0, 3], [1, 4], [2, 5]]
    assert split.templates == ["a photo of a {c}."]
    lock = pd.read_csv(source_files.data / "lock.csv")
    assert sorted(lock["file"]) == sorted(members)


REAL = {"scenes": ("test", 300, 6), "tinyimagenet100": ("test", 500, 100), "flowers102-small": ("test", 506, 102)}


@pytest.mark.parametrize("name", REAL)
def test_entry_of_real_images_is_read_and_every_image_is_decoded(repo, mirror, tmp_path, name):
    split, n_images, n_classes = REAL[name]
    entry = read_committed_config(repo)["datasets"][name]
    if name == "flowers102-small":
        n_images, entry = 80, entry | {"limit": {"test": 80}, "expect": {}}
    spec = ClassesDataset.model_validate(entry)
    raw = tmp_path / "raw" / name / split
    registry.fetch_split(name, spec, split, raw, FetchContext(str(mirror), 0, tmp_path, {}))
    result = registry.read_raw_split(name, spec, raw, tmp_path, split)
    assert (len(result.image_ids), len(result.captions)) == (n_images, n_classes)
    assert len(result.templates) >= 3
    assert sum(map(len, result.labels)) == n_images
    modes, shapes = set(), set()
    for path in result.image_paths:
        with Image.open(tmp_path / path) as image:
            image.load()
            modes.add(image.mode)
            shapes.add(image.width == image.height)
    assert modes == ({"L", "RGB"} if name == "tinyimagenet100" else {"RGB"})  # grey images test the conversion
    assert shapes == ({True, False} if name == "flowers102-small" else {True})
