import math

import numpy as np
import pytest
import torch

from overtop.training.loss import contrastive_loss


def test_contrastive_loss_equals_plain_loops() -> None:
    rng = np.random.default_rng(0)
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in rng.normal(size=(2, 5, 3)))
    scale, expected = 7.0, 0.0
    for i in range(5):
        row = [scale * images[i] @ texts[j] for j in range(5)]
        column = [scale * images[j] @ texts[i] for j in range(5)]
        for logits in (row, column):
            expected -= math.log(math.exp(logits[i]) / sum(map(math.exp, logits))) / 10
    loss = contrastive_loss(torch.tensor(images), torch.tensor(texts), torch.tensor(scale))
    assert loss.item() == pytest.approx(expected, abs=1e-12)
