import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from overtop.attacks.losses import MARGIN_LIMIT, cross_entropy, is_misclassified, margin


def random_case(images: int = 20, groups: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, some equal, and masks with one to three positives."""
    rng = np.random.default_rng(0)
    logits = np.round(rng.normal(0, 3, (images, groups)), 1)
    is_positive = rng.random((images, groups)) < 0.3
    is_positive[np.arange(images), rng.integers(groups, size=images)] = True
    is_positive[:, 0] &= ~is_positive.all(axis=1)
    return torch.from_numpy(logits), torch.from_numpy(is_positive)


def split_row(row: list[float], positives: list[bool]) -> tuple[float, list[float]]:
    right = max(z for z, p in zip(row, positives, strict=True) if p)
    return right, [z for z, p in zip(row, positives, strict=True) if not p]


def test_cross_entropy_merges_positives_by_their_largest_logit():
    logits, is_positive = random_case()
    actual = cross_entropy(logits, is_positive)
    for value, row, positives in zip(actual.tolist(), logits.tolist(), is_positive.tolist(), strict=True):
        right, wrong = split_row(row, positives)
        assert value == pytest.approx(math.log(sum(math.exp(z) for z in [right, *wrong])) - right, abs=1e-12)


def test_cross_entropy_of_one_positive_is_torchs():
    logits, labels = torch.randn(9, 5, dtype=torch.float64), torch.arange(9) % 5
    is_positive = functional.one_hot(labels, 5).bool()
    expected = functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, is_positive), expected)


def test_margin_is_the_published_loss_plus_50():
    logits, is_positive = random_case()
    for value, row, positives in zip(
        margin(logits, is_positive).tolist(), logits.tolist(), is_positive.tolist(), strict=True
    ):
        right, wrong = split_row(row, positives)
        assert value == pytest.approx(-max(right - max(wrong) + 50, 0) + 50)


def test_margin_stops_growing_at_its_limit():
    logits = torch.tensor([[0.0, 60.0]], requires_grad=True)
    value = margin(logits, torch.tensor([[True, False]]))
    assert value.item() == MARGIN_LIMIT
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert (gradient == 0).all()


@pytest.mark.parametrize("loss", [cross_entropy, margin])
def test_gradient_is_right_and_finite(loss):
    logits, is_positive = random_case()
    logits = logits + torch.rand(logits.shape, dtype=torch.float64) * 0.01  # no ties, at which there is no derivative
    assert torch.autograd.gradcheck(lambda z: loss(z, is_positive), logits.requires_grad_())


@pytest.mark.parametrize("loss", [cross_entropy, margin])
@pytest.mark.parametrize("positive", [[True], [False]])
def test_gradient_is_finite_without_wrong_or_without_right_answers(loss, positive):
    logits = torch.tensor([[0.3]], requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(logits, torch.tensor([positive])).sum(), logits)
    assert torch.isfinite(gradient).all()


def test_misclassified_is_decided_by_the_first_of_the_largest_logits():
    logits = torch.tensor([[1.0, 2.0, 2.0]] * 3 + [[3.0, 2.0, 2.0]])
    is_positive = torch.tensor([[False, True, False], [False, False, True], [False, True, True], [False, True, True]])
    assert is_misclassified(logits, is_positive).tolist() == [False, True, False, True]
