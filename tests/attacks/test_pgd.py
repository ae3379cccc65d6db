from collections.abc import Callable

import numpy as np
import pytest
import torch

from helpers.linear_model import LinearModel
from overtop.attacks.losses import cross_entropy, is_misclassified, margin
from overtop.attacks.pgd import perturb, perturb_until_wrong, random_point

EPSILON, STEP = 0.06, 0.02


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_pgd(
    pixels: torch.Tensor,
    loss: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    epsilon: float,
    steps: int,
    step: float,
) -> list[torch.Tensor]:
    """Return all iterates, the start included, pixel by pixel as published: step, project, clip."""
    iterates = [start]
    for _ in range(steps):
        current = iterates[-1].clone().requires_grad_()
        loss(current).sum().backward()
        delta = current.detach() + step * torch.sign(current.grad) - pixels
        iterates.append(torch.clamp(pixels + torch.clamp(delta, -epsilon, epsilon), 0, 1))
    return iterates


@pytest.mark.parametrize("loss", [cross_entropy, margin])
def test_two_classes_reach_the_best_perturbation_of_a_linear_model(loss):
    model = LinearModel(2)
    pixels = model.images(6)
    is_positive = model.labels(pixels)
    attacked = perturb(
        pixels, lambda x: loss(model.logits(x), is_positive), epsilon=EPSILON, steps=8, step=STEP, generator=generator()
    )
    right = is_positive.int().argmax(1)
    difference = model.weights[1 - right.numpy()] - model.weights[right.numpy()]
    expected = (pixels.flatten(1).numpy() + EPSILON * np.sign(difference)).clip(0, 1)
    np.testing.assert_allclose(attacked.flatten(1).numpy(), expected, atol=1e-6)


def test_margin_of_a_linear_model_comes_close_to_the_closed_form_and_never_exceeds_it():
    model = LinearModel(5)
    pixels = model.images(12)
    is_positive = model.labels(pixels)
    attacked = perturb(
        pixels, lambda x: margin(model.logits(x), is_positive), epsilon=EPSILON, steps=30, step=STEP / 4,
        generator=generator(),
    )  # fmt: skip
    reached = margin(model.logits(attacked), is_positive).numpy()
    right = is_positive.int().argmax(1).tolist()
    best = [model.best_margin(x, y, EPSILON) for x, y in zip(pixels.numpy(), right, strict=True)]
    assert (reached <= np.array(best) + 1e-5).all()
    assert (reached >= np.array(best) - 1e-5).mean() > 0.5


def test_iterates_equal_those_of_the_plain_loop():
    model = LinearModel(4)
    pixels = model.images(5)
    is_positive = model.labels(pixels)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return cross_entropy(model.logits(x), is_positive)

    start = random_point(pixels, EPSILON, generator(3))
    for steps in range(4):
        attacked = perturb(pixels, loss, epsilon=EPSILON, steps=steps, step=STEP, generator=generator(3))
        expected = plain_pgd(pixels, loss, start, EPSILON, steps, STEP)[-1]
        torch.testing.assert_close(attacked, expected, rtol=0, atol=1e-7)
        assert not attacked.requires_grad


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_perturbation_stays_in_the_ball_and_in_the_range_of_pixels(steps):
    model = LinearModel(3)
    pixels = model.images(10)
    attacked = perturb(
        pixels, lambda x: model.logits(x)[:, 0], epsilon=EPSILON, steps=steps, step=0.05, generator=generator()
    )
    assert (attacked - pixels).abs().max() <= EPSILON + 1e-7
    assert attacked.min() == 0  # pixels at the end of the range moved outwards and were clipped
    assert attacked.max() == 1
    assert (attacked != pixels).any()


def test_no_steps_without_random_start_leave_the_image():
    pixels = LinearModel(2).images(3)
    attacked = perturb(
        pixels, lambda x: x.flatten(1).sum(1), epsilon=0.1, steps=0, step=0.1, generator=generator(), random_start=False
    )
    torch.testing.assert_close(attacked, pixels, rtol=0, atol=0)


def test_random_start_is_uniform_in_the_ball():
    noise = random_point(torch.full((1, 100_000), 0.5), 0.1, generator()) - 0.5
    quantiles = torch.quantile(noise, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(quantiles, torch.tensor([-0.1, -0.05, 0.0, 0.05, 0.1]), rtol=0, atol=2e-3)


def test_early_stop_returns_the_first_wrong_iterate_of_each_image():
    model = LinearModel(4)
    pixels = model.images(40)
    is_positive = model.labels(pixels)
    is_positive[:10] = is_positive[:10].roll(1, dims=1)  # wrong from the start

    def loss(x: torch.Tensor) -> torch.Tensor:
        return margin(model.logits(x), is_positive)

    start, steps = random_point(pixels, 0.02, generator()), 6
    attacked = perturb_until_wrong(
        start, pixels, is_positive, model.logits, margin, epsilon=0.02, steps=steps, step=0.004
    )
    iterates = plain_pgd(pixels, loss, start, 0.02, steps, 0.004)
    wrong = torch.stack([is_misclassified(model.logits(x), is_positive) for x in iterates])
    first = torch.where(wrong.any(0), wrong.int().argmax(0), steps)
    assert len(first.unique()) > 4  # some at once, some after some steps, some never
    expected = torch.stack([iterates[n][i] for i, n in enumerate(first.tolist())])
    torch.testing.assert_close(attacked, expected, rtol=0, atol=1e-6)
    assert torch.equal(is_misclassified(model.logits(attacked), is_positive), wrong.any(0))


def test_early_stop_computes_only_images_that_are_still_right():
    model = LinearModel(2)
    pixels = model.images(8)
    is_positive = model.labels(pixels)
    is_positive[:6] = ~is_positive[:6]
    model.images_seen = 0
    perturb_until_wrong(pixels, pixels, is_positive, model.logits, margin, epsilon=1e-9, steps=10, step=1e-9)
    assert model.images_seen == 8 + 9 * 2


def test_early_stop_leaves_the_tensors_of_its_caller():
    model = LinearModel(2)
    pixels = model.images(2)
    start = pixels.clone()
    perturb_until_wrong(start, pixels, model.labels(pixels), model.logits, margin, epsilon=1, steps=2, step=0.5)
    assert not start.requires_grad
    torch.testing.assert_close(start, pixels, rtol=0, atol=0)


def test_one_class_cannot_be_wrong():
    model = LinearModel(1)
    pixels = model.images(1)
    is_positive = torch.ones(1, 1, dtype=torch.bool)
    for loss in (cross_entropy, margin):
        attacked = perturb_until_wrong(pixels, pixels, is_positive, model.logits, loss, epsilon=0.1, steps=3, step=0.1)
        assert torch.isfinite(attacked).all()
