"""Recall against a full-matrix oracle, and the verdict on it; then the script, on shards."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.evaluation.recall import KS, recall_check
from overtop.reference.recalls import RECALL_COLUMNS
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource, write_shard
from overtop.storage.split import Split, write_split

script = load_script("recall")

IMAGES, CAPTIONS = 37, 3


def world(seed=0, images=IMAGES):
    """A split and small whole-numbered embeddings, equally long: many similarities are equal, exactly."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(images), CAPTIONS)
    corners = np.array([[a, b, c, d] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1) for d in (-1, 1)], dtype=float)
    image, text = (corners[rng.integers(0, 16, n)].astype(np.float32) for n in (images, len(owner)))
    text[::2] = image[owner[::2]]
    names = [f"i{n}" for n in range(images)]
    captions = [f"i{n}#{j}" for n in range(images) for j in range(CAPTIONS)]
    return Split(names, names, captions, ["words"] * len(owner), owner), image, text


def oracle(image, text, owner):
    """R@k in both directions: items strictly better, and at equal score those of a smaller index, come first."""
    similarity = (text @ image.T).astype(np.float64)
    found = {}
    for direction, matrix, right in (
        ("t2i", similarity, [[o] for o in owner]),
        ("i2t", similarity.T, [np.flatnonzero(owner == i).tolist() for i in range(len(image))]),
    ):
        ranks = []
        for row, items in zip(matrix.tolist(), right, strict=True):
            places = [sum(s > row[i] or (s == row[i] and j < i) for j, s in enumerate(row)) for i in items]
            ranks.append(min(places) + 1)
        for k in (1, 5, 10):
            found[direction, k] = sum(r <= k for r in ranks) / len(ranks)
    return found


def checked(split, image, text, architecture="tiny", tag=None, benchmark=None, left_out=()):
    kept = [i for i, name in enumerate(split.image_ids) if name not in left_out]
    images = ArraySource([image[kept]], [split.image_ids[i] for i in kept])
    rankings = rank(images, ArraySource([text], split.caption_ids), top=10, vote_top=1, device="cpu")
    return recall_check(split, rankings, architecture, tag, benchmark)


@pytest.mark.parametrize("images", [1, 4, IMAGES])
def test_recall_is_that_of_the_full_matrix_ties_and_all(images):
    split, image, text = world(images=images)
    found = checked(split, image, text)
    expected = oracle(image, text, split.image_of_caption)
    assert found.set_index(["direction", "k"])["recall"].to_dict() == pytest.approx(expected)
    assert found.set_index(["direction", "k"])["n_queries"].to_dict() == {
        (way, k): len(text) if way == "t2i" else images for way in ("t2i", "i2t") for k in KS
    }
    assert (found["verdict"] == "no reference").all()
    assert found[["published", "difference_points", "benchmark"]].isna().all(axis=None)


def test_captions_of_a_skipped_image_are_no_queries():
    split, image, text = world()
    found = checked(split, image, text, left_out=("i3",)).set_index(["direction", "k"])
    assert found.loc[("t2i", 1), "n_queries"] == len(text) - CAPTIONS
    assert found.loc[("i2t", 1), "n_queries"] == IMAGES - 1


@pytest.mark.parametrize(
    ("points", "verdict"), [(0, "ok"), (0.5, "ok"), (-0.5, "ok"), (0.51, "off"), (-0.51, "off"), (-30, "off")]
)
def test_more_than_half_a_point_is_off(monkeypatch, points, verdict):
    split, image, text = world()
    expected = oracle(image, text, split.image_of_caption)
    published = {key: recall - points / 100 for key, recall in expected.items()}
    monkeypatch.setattr(
        "overtop.evaluation.recall.published_recall",
        lambda architecture, tag, benchmark, direction, k: published[direction, k] if benchmark == "coco" else None,
    )
    found = checked(split, image, text, "ViT-L-14", "openai", "coco")
    assert (found["verdict"] == verdict).all()
    assert found["difference_points"].tolist() == pytest.approx([points] * 6)
    assert (found["benchmark"] == "coco").all()


def test_every_row_speaks_for_itself():
    split, image, text = world()
    found = checked(split, image, text, "ViT-L-14-quickgelu", "openai", "flickr30k").set_index(["direction", "k"])
    assert found["published"].tolist() == [0.6496, 0.8724, 0.9204, 0.8520, 0.9740, 0.9920]
    off = (100 * (found["recall"] - found["published"])).abs() > 0.5
    assert (found["verdict"] == np.where(off, "off", "ok")).all()
    assert off.any()


@pytest.mark.parametrize(("split_name", "benchmark"), [("test", "coco"), ("val", "coco"), ("test", None)])
def test_the_script(tmp_path, split_name, benchmark):
    split, image, text = world()
    write_split(tmp_path / "split.parquet", split)
    for modality, embedding, ids in (("image", image, split.image_ids), ("text", text, split.caption_ids)):
        (tmp_path / modality).mkdir()
        for shard, part in enumerate(np.array_split(np.arange(len(ids)), 2)):
            facts = {"encoder": {"name": "l14"}, "sampling": "deterministic", "shard": shard, "shards": 2}
            names = [ids[i] for i in part]
            path = tmp_path / modality / f"{shard}.h5"
            write_shard(path, embedding[part][None], names, np.ones(len(part), bool), facts)
    shards = {modality: sorted((tmp_path / modality).iterdir()) for modality in ("image", "text")}
    script.main(
        SimpleNamespace(
            input=SimpleNamespace(split=tmp_path / "split.parquet", **shards),
            output=[tmp_path / "recall.csv"],
            params=SimpleNamespace(encoder={"architecture": "ViT-L-14", "tag": "openai"}, benchmark=benchmark),
            wildcards=SimpleNamespace(dataset="mscoco", split=split_name, encoder="l14"),
        )
    )
    found = pd.read_csv(tmp_path / "recall.csv")
    assert list(found) == RECALL_COLUMNS
    assert set(found[["dataset", "split", "encoder", "tag"]].itertuples(index=False, name=None)) == {
        ("mscoco", split_name, "l14", "openai")
    }
    recall = found.set_index(["direction", "k"])["recall"].to_dict()
    assert recall == pytest.approx(oracle(image, text, split.image_of_caption))
    # What is published is of the test split.
    assert found["published"].notna().all() == (benchmark == "coco" and split_name == "test")
