import math

import numpy as np
import pytest
import torch

from overtop.training.loss import contrastive_loss

SCALE = 7.0


@pytest.fixture
def embeddings() -> tuple[np.ndarray, np.ndarray]:
    rows = np.random.default_rng(0).normal(size=(2, 5, 3))
    images, texts = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return images, texts


def _expected_loss(images: np.ndarray, texts: np.ndarray, groups: list[int], smoothing: float = 0.0) -> float:
    """The loss by plain loops over queries of both directions and their gallery."""
    total, n = 0.0, len(images)
    for i in range(n):
        row = [SCALE * images[i] @ texts[j] for j in range(n)]
        column = [SCALE * images[j] @ texts[i] for j in range(n)]
        for logits in (row, column):
            normaliser = math.log(sum(map(math.exp, logits)))
            for j in range(n):
                target = (groups[i] == groups[j]) / groups.count(groups[i])
                total -= ((1 - smoothing) * target + smoothing / n) * (logits[j] - normaliser)
    return total / (2 * n)


def test_contrastive_loss_equals_plain_loops(embeddings: tuple[np.ndarray, np.ndarray]) -> None:
    images, texts = embeddings
    loss = contrastive_loss(torch.tensor(images), torch.tensor(texts), torch.tensor(SCALE), 0.1)
    assert loss.item() == pytest.approx(_expected_loss(images, texts, [0, 1, 2, 3, 4], 0.1), abs=1e-12)


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [3, 1, 3, 0, 3], [1, 1, 2, 2, 0], [0, 0, 0, 0, 0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_of_groups_equals_plain_loops(
    embeddings: tuple[np.ndarray, np.ndarray], groups: list[int], smoothing: float
) -> None:
    images, texts = embeddings
    loss = contrastive_loss(torch.tensor(images), torch.tensor(texts), torch.tensor(SCALE), smoothing, np.array(groups))
    assert loss.item() == pytest.approx(_expected_loss(images, texts, groups, smoothing), abs=1e-12)


def test_loss_of_groups_is_smallest_where_the_similarities_equal_the_targets() -> None:
    """Two classes, embedded apart: at a large scale the loss is the entropy of the targets."""
    embedded = torch.eye(2, dtype=torch.float64)[[0, 0, 0, 1, 1]]
    loss = contrastive_loss(embedded, embedded, torch.tensor(100.0), 0.0, np.array([0, 0, 0, 1, 1]))
    assert loss.item() == pytest.approx(0.6 * math.log(3) + 0.4 * math.log(2), abs=1e-9)
