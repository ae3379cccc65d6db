import logging

import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.storage.split import Split
from overtop.training.validation import embedding_recall, log_recalls


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return round(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), 12)


def test_recall_equals_plain_loops() -> None:
    rng = np.random.default_rng(1)
    own = np.array([0, 0, 1, 2, 2, 3])
    split = Split([*"abcd"], [""] * 4, [*"123456"], [*"uvwxyz"], own, None, [*"ppqqpq"])
    images, texts = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    images[3] = images[0]  # a tie: the smaller index ranks first
    texts[5] = 2 * images[0]
    t2i = [max(range(4), key=lambda n: (_cosine(texts[m], images[n]), -n)) == own[m] for m in range(6)]
    i2t = [own[max(range(6), key=lambda m: (_cosine(texts[m], images[n]), -m))] == n for n in range(4)]
    recalls = embedding_recall(images, texts, split)
    assert list(recalls) == ["t2i", "i2t", "t2i p", "t2i q"]
    assert recalls["t2i"] == pytest.approx(np.mean(t2i))
    assert recalls["i2t"] == pytest.approx(np.mean(i2t))
    assert recalls["t2i p"] == pytest.approx(np.mean([t2i[0], t2i[1], t2i[4]]))


def test_recall_without_caption_levels_has_only_directions() -> None:
    split = Split(["a", "b"], ["", ""], ["1", "2"], ["u", "v"], np.array([0, 1]))
    assert embedding_recall(np.eye(2), np.eye(2), split) == {"t2i": 1.0, "i2t": 1.0}


def test_accuracy_on_classes_equals_plain_loops() -> None:
    """Each class is the mean of its unit prompts; the last image has two classes, and one class has no image."""
    rng = np.random.default_rng(3)
    labels = [np.array([0, 1, 5]), np.array([2, 5]), np.array([3, 4]), np.array([], dtype=np.int64)]
    split = Split(
        [*"abcdef"], [""] * 6, [*"0123"], ["cat", "dog", "cow", "hen"], np.full(4, -1), labels=labels,
        templates=["a {c}", "the {c}"],
    )  # fmt: skip
    images, prompts = rng.normal(size=(6, 3)), rng.normal(size=(8, 3)) * rng.uniform(1, 9, size=(8, 1))
    hits = []
    for n in range(6):
        means = [sum(row / np.linalg.norm(row) for row in prompts[2 * c : 2 * c + 2]) for c in range(4)]
        nearest = max(range(4), key=lambda c: _cosine(means[c], images[n]))
        hits.append(n in labels[nearest])
    assert 0 < sum(hits) < 6
    assert embedding_recall(images, prompts, split) == {"accuracy": pytest.approx(np.mean(hits))}


def test_logged_recalls_have_three_decimals(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        log_recalls("shapes-0", {"t2i": 0.5, "t2i exact": 0.6034})
    assert caplog.messages == ["shapes-0: R@1 on validation: t2i 0.500, t2i exact 0.603"]


def test_recall_is_of_queries_with_a_known_match_among_all_items() -> None:
    """Image 1 has no caption and is nearest to caption 0; the image of the last caption is unknown."""
    own, levels = np.array([0, 2, -1]), ["p", "q", "r"]
    split = Split([*"abc"], [""] * 3, [*"123"], [*"uvw"], own, None, levels)
    images, texts = np.array([[3.0, 1], [1, 0], [0, 1]]), np.array([[1.0, 0], [0, 1], [1, 1]])
    recalls = embedding_recall(images, texts, split)
    assert recalls == {"t2i": 0.5, "i2t": 1.0, "t2i p": 0.0, "t2i q": 1.0}


def test_recall_without_any_known_match_is_one_line_error() -> None:
    split = Split(["a"], [""], ["1"], ["u"], np.array([-1]))
    with pytest.raises(OvertopError, match="no image and caption of the validation split are paired"):
        embedding_recall(np.eye(1), np.eye(1), split)
