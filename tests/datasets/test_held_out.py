"""Splits that are held out, for every kind of data set with pairs: the same draw, from the same files."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from overtop.config.dataset_base import HeldOut
from overtop.config.datasets import StoredDatasetSpec
from overtop.datasets.draws import draw_items
from overtop.datasets.embeddings import load_part
from overtop.datasets.held_out import Part, find_part, select_items
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.errors import OvertopError
from overtop.storage.split import Split

N = 20
HELD_OUT = {"bank": {"of": "test", "share": 0.3, "seed": 5}}
RNG = np.random.default_rng(0)
IMAGE, TEXT = RNG.normal(size=(N, 4)).astype(np.float32), RNG.normal(size=(2 * N, 4)).astype(np.float32)


def write_table(folder):
    rows = [(f"i{number}.png", f"caption {k} of {number}") for number in range(N) for k in range(2)]
    pd.DataFrame(rows, columns=["image", "caption"]).to_csv(folder / "captions.csv", index=False)
    for number in range(N):
        (folder / f"i{number}.png").write_bytes(b"%d" % number)
    return {"kind": "table", "source": str(folder)}


def write_karpathy(folder):
    (folder / "images").mkdir()
    with (folder / "captions.jsonl").open("w") as file:
        for number in range(N):
            sentences = [{"raw": f"caption {k} of {number}"} for k in range(5)]
            entry = {"filename": f"i{number}.jpg", "split": "test", "sentences": sentences}
            (folder / "images" / entry["filename"]).write_bytes(b"%d" % number)
            file.write(json.dumps(entry) + "\n")
    return {"kind": "karpathy", "source": str(folder)}


def write_embeddings(folder):
    np.savez(folder / "e.npz", image=IMAGE, text=TEXT, image_of_caption=np.arange(2 * N) % N)
    return {"kind": "embeddings", "splits": {"test": str(folder / "e.npz")}}


def write_shapes(folder):
    return {"kind": "shapes", "images": {"test": N}, "image_size": 16}


@pytest.fixture(params=[write_table, write_karpathy, write_embeddings, write_shapes])
def entry(request, tmp_path):
    """An entry with a split `test`."""
    folder = tmp_path / "source"
    folder.mkdir()
    return request.param(folder)


def fetch_and_read(tmp_path, entry, split, /, **keys):
    spec = TypeAdapter(StoredDatasetSpec).validate_python(entry | keys)
    raw = tmp_path / "data" / "raw" / "x" / split
    fetch_split("x", spec, split, raw, FetchContext(None, 0, tmp_path / "data", {}))
    return read_raw_split("x", spec, raw, tmp_path / "data", split)


def pairs_of(split):
    """For each caption its id, its text, and its image."""
    images = [split.image_ids[image] for image in split.image_of_caption]
    return list(zip(split.caption_ids, split.captions, images, strict=True))


def test_parts_are_the_draw_and_the_rest_in_the_order_of_the_whole(tmp_path, entry):
    whole = fetch_and_read(tmp_path, entry, "test")
    rest, drawn = (fetch_and_read(tmp_path, entry, split, held_out=HELD_OUT) for split in ("test", "bank"))
    mask = draw_items(whole.image_ids, 6, 5, "held_out")
    for part, own in ((drawn, mask), (rest, ~mask)):
        assert part.image_ids == np.array(whole.image_ids)[own].tolist()
        assert pairs_of(part) == [pair for pair in pairs_of(whole) if pair[2] in part.image_ids]
    assert all(path.startswith("raw/x/bank/") for path in filter(None, drawn.image_paths))


def test_split_is_whole_again_when_nothing_is_held_out(tmp_path, entry):
    fetch_and_read(tmp_path, entry, "test", held_out=HELD_OUT)
    assert len(fetch_and_read(tmp_path, entry, "test").image_ids) == N


def test_extended_positives_are_those_within_the_part(tmp_path):
    whole = fetch_and_read(tmp_path, write_shapes(tmp_path), "test")
    part = fetch_and_read(tmp_path, write_shapes(tmp_path), "bank", held_out=HELD_OUT)
    expected = dict(zip(whole.caption_ids, whole.extended, strict=True))
    for caption_id, positives in zip(part.caption_ids, part.extended, strict=True):
        ids = {whole.image_ids[image] for image in expected[caption_id]}
        assert {part.image_ids[image] for image in positives} == ids & set(part.image_ids)


def test_embeddings_of_a_part_are_those_of_its_items(tmp_path):
    (tmp_path / "source").mkdir()
    entry = write_embeddings(tmp_path / "source")
    for name in ("test", "bank"):
        split = fetch_and_read(tmp_path, entry, name, held_out=HELD_OUT)
        imported = load_part(tmp_path / "data" / "raw" / "x" / name)
        assert (imported.split.image_ids, imported.split.caption_ids) == (split.image_ids, split.caption_ids)
        np.testing.assert_array_equal(imported.image[0], IMAGE[[int(image) for image in split.image_ids]])
        rows = [int(image) + N * int(number) for image, number in (name.split("#") for name in split.caption_ids)]
        np.testing.assert_array_equal(imported.text[0], TEXT[rows])


def unpaired_split():
    """Ten images, of which the first four have a caption, and six captions whose image is unknown."""
    owners = np.append(np.arange(4), np.full(6, -1))
    return Split([f"i{k}" for k in range(10)], [""] * 10, [f"c{k}" for k in range(10)], ["x"] * 10, owners)


def test_images_without_a_caption_stay_and_captions_without_an_image_are_drawn():
    split = unpaired_split()
    held_out = {"bank": HeldOut(of="test", share=0.5)}
    drawn, rest = (select_items(split, find_part(held_out, name)) for name in ("bank", "test"))
    images = draw_items(split.image_ids[:4], 2, 0, "held_out")
    captions = draw_items(split.caption_ids[4:], 3, 0, "held_out")
    assert drawn[0].tolist() == [*images, *[False] * 6]
    assert drawn[1].tolist() == [*images, *captions]
    assert rest[0].tolist() == [*~images, *[True] * 6]
    assert rest[1].tolist() == [*~images, *~captions]


def test_few_captions_without_an_image_are_no_error():
    owners = np.array([0, 1, 2, 3, -1])
    split = Split(list("abcd"), [""] * 4, list("vwxyz"), ["x"] * 5, owners)
    _, captions = select_items(split, Part("test", "bank", 0, 0.25, 0))
    assert captions.sum() == 1
    assert not captions[4]


@pytest.mark.parametrize(
    ("share", "owners", "message"),
    [
        (0.1, np.arange(4), "a share of 0.1 of 4 images is none; change the shares, so that every split has some"),
        (0.2, np.array([0, 1]), "a share of 0.2 of 2 images with captions is none"),
        (0.1, np.array([-1, -1]), "a share of 0.1 of 2 captions is none"),
    ],
)
@pytest.mark.parametrize("drawn", [True, False])
def test_part_without_pairs_is_one_line_error(share, owners, message, drawn):
    ids = [str(k) for k in range(len(owners))]
    split = Split(list("abcd"), [""] * 4, ids, ["x"] * len(ids), owners)
    part = Part("test", "bank", 0, share, 0) if drawn else Part("test", "test", 1 - share, 1, 0)
    with pytest.raises(OvertopError, match=rf"^{message}"):
        select_items(split, part)


def test_splits_by_share_are_disjoint_and_together_the_whole(tmp_path, entry):
    """Each split is the same whether or not the others are read, and what `held_out` draws is the same."""
    whole = fetch_and_read(tmp_path, entry, "test")
    shares = {"train": 0.5, "val": 0.2, "seed": 3}
    held_out = {name: {"of": "test", "share": share, "seed": 3} for name, share in shares.items() if name != "seed"}
    keys = {"held_out": held_out} if entry["kind"] in ("karpathy", "shapes") else {"split": shares}
    parts = {name: fetch_and_read(tmp_path, entry, name, **keys) for name in ("train", "val", "test")}
    assert {name: len(part.image_ids) for name, part in parts.items()} == {"train": 10, "val": 4, "test": 6}
    assert sorted(image for part in parts.values() for image in part.image_ids) == sorted(whole.image_ids)
    assert (
        parts["train"].image_ids == np.array(whole.image_ids)[draw_items(whole.image_ids, 10, 3, "held_out")].tolist()
    )


def test_images_with_the_same_content_are_in_one_split(tmp_path):
    entry = write_table(tmp_path)
    for number in range(N):
        (tmp_path / f"i{number}.png").write_bytes(b"%d" % (number // 4))
    parts = [fetch_and_read(tmp_path, entry, name, split={"val": 0.4}).image_ids for name in ("val", "test")]
    groups = [{int(image[1:-4]) // 4 for image in part} for part in parts]
    assert groups[0].isdisjoint(groups[1])
    assert [len(part) for part in parts] == [8, 12]


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"test": {"of": "val"}}, "held_out.test: the files have this split"),
        ({"bank": {"of": "dev"}}, "held_out.bank.of: the files have no split 'dev'"),
        ({"bank": {"of": "test", "share": 0.5}, "more": {"of": "test", "share": 0.5}}, "must leave some of it"),
        ({"bank": {"of": "test"}, "more": {"of": "test", "seed": 1}}, "give them the same `seed`"),
        ({"bank": {"of": "test"}, "more": {"of": "bank"}}, "held_out.more.of: the files have no split 'bank'"),
    ],
)
def test_mistake_in_the_entry_is_rejected(held_out, message):
    entry = {"kind": "shapes", "images": {"val": 4, "test": 4}, "held_out": held_out}
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(StoredDatasetSpec).validate_python(entry)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"split": {"seed": 1}}, "give the share of `val`"),
        ({"split": {"val": 0.5, "train": 0.5}}, "must leave some of it"),
        ({"split": {"val": 0.5}, "held_out": {"test": {"of": "val"}}}, "held_out.test: the files have this split"),
    ],
)
def test_mistake_in_shares_is_rejected(keys, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(StoredDatasetSpec).validate_python({"kind": "table", "source": "x"} | keys)


def test_share_of_files_with_splits_is_rejected():
    entry = {"kind": "embeddings", "splits": {"val": "a", "test": "b"}, "split": {"val": 0.2}}
    with pytest.raises(ValidationError, match="the entry names the splits val, test; divide one of them"):
        TypeAdapter(StoredDatasetSpec).validate_python(entry)


def test_held_out_splits_are_listed():
    specs = TypeAdapter(dict[str, StoredDatasetSpec]).validate_python(
        {
            "a": {"kind": "shapes", "images": {"test": 4}, "held_out": HELD_OUT},
            "b": {
                "kind": "table",
                "source": "b",
                "held_out": HELD_OUT,
                "expect": {"val": {"images": 1, "captions": 0}},
            },
            "c": {"kind": "table", "source": "c", "split": {"val": 0.2}},
        }
    )
    assert specs["c"].split_names() == ["test", "val"]
    assert (specs["a"].split_names(), specs["a"].listed_splits()) == (["test", "bank"], ["test", "bank"])
    assert (specs["b"].split_names(), specs["b"].listed_splits()) == (None, ["val", "bank"])
