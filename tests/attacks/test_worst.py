import numpy as np
import pytest
import torch

from overtop.attacks.gallery import Gallery
from overtop.attacks.shard import Outcome
from overtop.attacks.worst import ViewShard, choose_worst, judge_views, take_views, worst_outcome
from overtop.errors import OvertopError
from overtop.storage.split import Split, split_from_labels

N, DIM = 300, 6  # more images than one block


def make_views(count: int, samples: int = 1, seed: int = 0) -> list[ViewShard]:
    """Views of the same images: the clean one, and others that differ from it; image 3 was skipped."""
    rng = np.random.default_rng(seed)
    clean, valid = rng.normal(size=(samples, N, DIM)).astype(np.float32), np.arange(N) != 3
    clean[:, 3] = np.nan
    ids = [f"i{i}" for i in range(N)]
    outcome = {"images": N - 1, "wrong_clean": 0, "wrong_attacked": 0}
    views = []
    for number in range(count):
        embedding = (clean + number * rng.normal(size=clean.shape) * 0.4).astype(np.float32)
        ranges = {"max_perturbation": float(number), "pixel_min": 0.1 * number, "pixel_max": 1 - 0.1 * number}
        views.append(
            ViewShard(
                f"view{number}", embedding, valid.copy(), list(ids), {"encoder": "e", "outcome": {**outcome, **ranges}}
            )
        )
    return views


@pytest.fixture
def gallery() -> Gallery:
    return Gallery(np.random.default_rng(5).normal(size=(4, DIM)).astype(np.float32))


@pytest.fixture
def split(gallery: Gallery) -> Split:
    """Most images have their clean answer as label, some have two labels."""
    clean = torch.from_numpy(np.nan_to_num(make_views(1)[0].embedding[0], nan=1.0))
    labels = gallery.logits(clean).argmax(1).numpy()
    labels[::10] = (labels[::10] + 1) % 4
    several = [[int(label), (int(label) + 2) % 4] if i % 7 == 0 else [int(label)] for i, label in enumerate(labels)]
    ids = [f"i{i}" for i in range(N)]
    return split_from_labels(ids, ids, several, list("abcd"), ["{c}"])


def test_worst_case_is_that_of_a_loop_over_images(gallery, split):
    views = make_views(4)
    is_wrong, margins = judge_views(views, split, gallery)
    choice = choose_worst(is_wrong, margins)
    embedding = take_views(views, choice)
    texts = gallery.logits(torch.eye(DIM)).numpy().T  # the scale is one, so these are the unit texts
    counts = {"wrong": 0, "clean": 0}
    for i in range(N):
        if i == 3:
            continue
        labels = {c for c, images in enumerate(split.labels) if i in images}
        values = []
        for view in views:
            image = view.embedding[0, i].astype(float)
            cosines = texts.astype(float) @ image / np.linalg.norm(image)
            right = max(cosines[c] for c in labels)
            values.append(max(cosines[c] for c in range(4) if c not in labels) - right)
        expected = next((v for v, value in enumerate(values) if value > 0), int(np.argmax(values)))
        assert choice[i] == expected
        np.testing.assert_array_equal(embedding[0, i], views[expected].embedding[0, i])
        counts["wrong"] += max(values) > 0
        counts["clean"] += values[0] > 0
    outcome = worst_outcome(views[1:], is_wrong)
    assert outcome == Outcome(N - 1, counts["clean"], counts["wrong"], 3.0, 0.1, pytest.approx(0.9))
    assert 0 < counts["clean"] < counts["wrong"] < N
    assert set(choice.tolist()) == {0, 1, 2, 3}


def test_image_that_is_wrong_when_clean_keeps_its_clean_embedding(gallery, split):
    views = make_views(3)
    is_wrong, margins = judge_views(views, split, gallery)
    assert (choose_worst(is_wrong, margins)[is_wrong[0]] == 0).all()
    assert is_wrong[0].any()


def test_samples_of_the_chosen_view_are_taken_together():
    views = make_views(3, samples=5)
    choice = np.arange(N) % 3
    embedding = take_views(views, choice)
    for i in range(N):
        np.testing.assert_array_equal(embedding[:, i], views[choice[i]].embedding[:, i])


@pytest.mark.parametrize("change", ["item_ids", "encoder", "valid"])
def test_shards_of_other_images_or_encoders_are_an_error(change):
    first, second = make_views(2)
    if change == "item_ids":
        second.item_ids[0] = "x"
    elif change == "encoder":
        second.provenance["encoder"] = "f"
    else:
        first.valid[5] = False
    with pytest.raises(OvertopError, match="view1: has other images or another encoder than view0; delete both"):
        take_views([first, second], np.zeros(N, dtype=int))
