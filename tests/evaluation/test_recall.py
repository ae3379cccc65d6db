"""Recall against a full-matrix oracle, and its comparison with published recall."""

import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.evaluation.recall import RECALL_KS, check_recall
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split

IMAGES, CAPTIONS = 37, 3


def make_split(seed=0, images=IMAGES):
    """Return a split, and image and text embeddings with entries of -1 and 1, so that there are many exact ties."""
    rng = np.random.default_rng(seed)
    image_of_caption = np.repeat(np.arange(images), CAPTIONS)
    corners = np.array([[a, b, c, d] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1) for d in (-1, 1)], dtype=float)
    image, text = (corners[rng.integers(0, 16, n)].astype(np.float32) for n in (images, len(image_of_caption)))
    text[::2] = image[image_of_caption[::2]]
    names = [f"i{n}" for n in range(images)]
    captions = [f"i{n}#{j}" for n in range(images) for j in range(CAPTIONS)]
    return Split(names, names, captions, ["words"] * len(image_of_caption), image_of_caption), image, text


def oracle(image, text, image_of_caption):
    """Return R@k in both directions; items come first by higher similarity, and of ties by smaller index."""
    similarity = (text @ image.T).astype(np.float64)
    recall = {}
    for direction, matrix, positives in (
        ("t2i", similarity, [[o] if o >= 0 else [] for o in image_of_caption]),
        ("i2t", similarity.T, [np.flatnonzero(image_of_caption == i).tolist() for i in range(len(image))]),
    ):
        ranks = []
        for row, items in zip(matrix.tolist(), positives, strict=True):
            if not items:
                continue
            places = [sum(s > row[i] or (s == row[i] and j < i) for j, s in enumerate(row)) for i in items]
            ranks.append(min(places) + 1)
        for k in (1, 5, 10):
            recall[direction, k] = sum(r <= k for r in ranks) / len(ranks)
    return recall


def check(split, image, text, architecture="tiny", tag=None, benchmark=None, skipped=()):
    rows = [i for i, name in enumerate(split.image_ids) if name not in skipped]
    images = ArraySource([image[rows]], [split.image_ids[i] for i in rows])
    rankings = rank(images, ArraySource([text], split.caption_ids), top=10, vote_top=1, device="cpu")
    return check_recall(split, rankings, architecture, tag, benchmark)


@pytest.mark.parametrize("images", [1, 4, IMAGES])
def test_recall_with_ties_equals_the_full_matrix(images):
    split, image, text = make_split(images=images)
    result = check(split, image, text)
    expected = oracle(image, text, split.image_of_caption)
    assert result.set_index(["direction", "k"])["recall"].to_dict() == pytest.approx(expected)
    assert result.set_index(["direction", "k"])["n_queries"].to_dict() == {
        (direction, k): len(text) if direction == "t2i" else images for direction in ("t2i", "i2t") for k in RECALL_KS
    }
    assert (result["verdict"] == "no reference").all()
    assert result[["published", "difference_points", "benchmark"]].isna().all(axis=None)


def test_captions_of_a_skipped_image_are_not_counted():
    split, image, text = make_split()
    result = check(split, image, text, skipped=("i3",)).set_index(["direction", "k"])
    assert result.loc[("t2i", 1), "n_queries"] == len(text) - CAPTIONS
    assert result.loc[("i2t", 1), "n_queries"] == IMAGES - 1


@pytest.mark.parametrize(
    ("points", "verdict"), [(0, "ok"), (0.5, "ok"), (-0.5, "ok"), (0.51, "off"), (-0.51, "off"), (-30, "off")]
)
def test_difference_above_half_a_point_is_off(monkeypatch, points, verdict):
    split, image, text = make_split()
    expected = oracle(image, text, split.image_of_caption)
    published = {key: recall - points / 100 for key, recall in expected.items()}
    monkeypatch.setattr(
        "overtop.evaluation.recall.find_published_recall",
        lambda architecture, tag, benchmark, direction, k: published[direction, k] if benchmark == "coco" else None,
    )
    result = check(split, image, text, "ViT-L-14", "openai", "coco")
    assert (result["verdict"] == verdict).all()
    assert result["difference_points"].tolist() == pytest.approx([points] * 6)
    assert (result["benchmark"] == "coco").all()


def test_verdict_is_per_row():
    split, image, text = make_split()
    result = check(split, image, text, "ViT-L-14-quickgelu", "openai", "flickr30k").set_index(["direction", "k"])
    assert result["published"].tolist() == [0.6496, 0.8724, 0.9204, 0.8520, 0.9740, 0.9920]
    off = (100 * (result["recall"] - result["published"])).abs() > 0.5
    assert (result["verdict"] == np.where(off, "off", "ok")).all()
    assert off.any()


def test_unpaired_items_are_in_the_galleries_and_no_queries():
    """Five images without a caption, and captions of no image: recall of the others is that in the larger gallery."""
    split, image, text = make_split(images=12)
    owners = np.append(split.image_of_caption[:-15], np.full(15, -1))
    split = Split(split.image_ids, split.image_paths, split.caption_ids, split.captions, owners)
    result = check(split, image, text).set_index(["direction", "k"])
    for (direction, k), recall in oracle(image, text, owners).items():
        row = result.loc[(direction, k)]
        assert row["n_queries"] == (21 if direction == "t2i" else 7)
        assert row["recall"] == pytest.approx(recall)


def test_split_without_any_known_match_is_one_line_error():
    split, image, text = make_split(images=3)
    split = Split(split.image_ids, split.image_paths, split.caption_ids, split.captions, np.full(9, -1))
    with pytest.raises(OvertopError, match="t2i: no query has a known match"):
        check(split, image, text)
