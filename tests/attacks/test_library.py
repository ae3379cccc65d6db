import importlib.util

import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers.linear_model import LinearModel
from overtop.attacks.batch import attack_batch
from overtop.attacks.library import applicable_kind, perturb_with_library
from overtop.config.attacks import GradientAttack, LibraryAttack
from overtop.errors import OvertopError

pytest.importorskip("pyautoattack")
KINDS = ("apgd-ce", "apgd-dlr", "apgd-t")


class CosineNetwork:
    """A small network whose logits are scaled cosines to fixed directions, as those of CLIP are."""

    def __init__(self, classes: int) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.Tanh(), nn.Linear(32, 8)).requires_grad_(False)
        self.texts = functional.normalize(torch.randn(classes, 8), dim=1)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return 20 * functional.normalize(self.network(pixels - 0.5), dim=1) @ self.texts.T


def batch(network: CosineNetwork, count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and their own answers as labels; every eighth image has another label."""
    pixels = LinearModel(2).images(count)
    labels = network(pixels).argmax(1)
    labels[::8] = (labels[::8] + 1) % len(network.texts)
    return pixels, functional.one_hot(labels, len(network.texts)).bool()


@pytest.mark.parametrize("kind", KINDS)
def test_library_finds_at_least_as_many_errors_as_pgd(kind):
    network = CosineNetwork(6)
    pixels, is_positive = batch(network)
    spec = LibraryAttack(kind=kind, epsilon=20, steps=20)
    attacked = attack_batch(network, pixels, is_positive, spec, 1)
    pgd = attack_batch(network, pixels, is_positive, GradientAttack(kind="pgd", epsilon=20, steps=20), 1)
    assert attacked.is_wrong.sum() >= pgd.is_wrong.sum() > pgd.was_wrong.sum()
    assert attacked.is_wrong.sum() < len(pixels)
    assert (attacked.pixels - pixels).abs().max() * 255 <= 20 + 1e-4
    assert attacked.pixels.min() >= 0
    assert attacked.pixels.max() <= 1


def test_images_that_are_wrong_or_resist_keep_their_pixels():
    network = CosineNetwork(6)
    pixels, is_positive = batch(network)
    attacked = attack_batch(network, pixels, is_positive, LibraryAttack(kind="apgd-ce", epsilon=20, steps=20), 1)
    is_changed = (attacked.pixels != pixels).flatten(1).any(1)
    assert torch.equal(is_changed, attacked.is_wrong & ~attacked.was_wrong)
    assert is_changed.any()


def test_result_depends_on_the_seed_and_leaves_the_global_generator():
    network = CosineNetwork(6)
    pixels, is_positive = batch(network)
    spec = LibraryAttack(kind="apgd-ce", epsilon=20, steps=5)
    torch.manual_seed(5)
    first, second, other = (perturb_with_library(pixels, is_positive, network, spec, seed) for seed in (1, 1, 2))
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(1, ["apgd-ce"] * 3), (2, ["apgd-ce"] * 3), (3, ["apgd-ce", "apgd-dlr", "apgd-dlr"]), (4, [*KINDS])],
)
def test_attacks_that_need_more_answers_are_replaced(classes, expected):
    assert [applicable_kind(kind, classes) for kind in KINDS] == expected
    network = CosineNetwork(classes)
    pixels, is_positive = batch(network, 1)
    for kind in KINDS:
        spec = LibraryAttack(kind=kind, epsilon=4, steps=2)
        assert attack_batch(network, pixels, is_positive, spec, 0).pixels.shape == pixels.shape


def test_several_labels_are_one_clear_error():
    pixels = LinearModel(3).images(2)
    is_positive = torch.tensor([[True, True, False], [True, False, False]])
    with pytest.raises(OvertopError, match="apgd-ce take one label per image, but an image has several; use pgd or cw"):
        perturb_with_library(pixels, is_positive, CosineNetwork(3), LibraryAttack(kind="apgd-ce", epsilon=1), 0)


def test_missing_package_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OvertopError, match=r"need the package pyautoattack.*pip install 'overtop\[attacks\]'"):
        perturb_with_library(
            torch.zeros(1, 3, 4, 4),
            torch.ones(1, 1).bool(),
            CosineNetwork(3),
            LibraryAttack(kind="apgd-t", epsilon=1),
            0,
        )
