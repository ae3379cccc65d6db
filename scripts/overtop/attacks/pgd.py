"""Projected gradient ascent within an L-infinity ball around the pixels (Madry et al. 2018).

Pixels are float32 in [0, 1]; radius and steps are in the same units. Each step moves every pixel by `step` along the
sign of its gradient, and projects it back into the ball and into [0, 1].
"""

from collections.abc import Callable

import torch

from overtop.attacks.losses import AttackLoss, is_misclassified


def perturb(
    pixels: torch.Tensor,
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    epsilon: float,
    steps: int,
    step: float,
    generator: torch.Generator,
    random_start: bool = True,
) -> torch.Tensor:
    """Return the last iterate of an ascent on `loss`.

    Args:
        pixels: (B, ...) in [0, 1].
        loss: maps perturbed pixels to one value per image (B,), which is maximised; the images must be independent.
        epsilon: radius of the ball.
        steps: number of steps; 0 leaves the start.
        step: length of a step.
        generator: of the random start; numbers are drawn on its device.
        random_start: start at a uniformly random point of the ball instead of the clean image.

    Returns:
        (B, ...) perturbed pixels, detached.

    >>> pixels, generator = torch.tensor([[0.5, 0.9]]), torch.Generator().manual_seed(0)
    >>> perturb(pixels, lambda x: x.sum(dim=1), epsilon=0.2, steps=4, step=0.1, generator=generator)
    tensor([[0.7000, 1.0000]])
    """
    start = random_point(pixels, epsilon, generator) if random_start else pixels
    return perturb_from(start, pixels, loss, epsilon=epsilon, steps=steps, step=step)


def perturb_from(
    start: torch.Tensor,
    pixels: torch.Tensor,
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    epsilon: float,
    steps: int,
    step: float,
) -> torch.Tensor:
    """`perturb`, from a given first iterate (B, ...)."""
    low, high = _bounds(pixels, epsilon)
    current = start.detach()
    for _ in range(steps):
        current.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(current).sum(), current)
        current = _ascend(current, gradient, step, low, high)
    return current


def perturb_until_wrong(
    start: torch.Tensor,
    pixels: torch.Tensor,
    is_positive: torch.Tensor,
    logits: Callable[[torch.Tensor], torch.Tensor],
    loss: AttackLoss,
    *,
    epsilon: float,
    steps: int,
    step: float,
) -> torch.Tensor:
    """Return the first misclassified iterate of each image, and the last iterate of images without one.

    The iterates are those of `perturb_from`. Images leave the batch as soon as they are wrong, so that later steps are
    computed for the others only; the accuracy is that of the worst iterate.

    Args:
        start: (B, ...) first iterate.
        pixels: (B, ...) in [0, 1].
        is_positive: (B, G) bool.
        logits: maps pixels (b, ...) to logits (b, G).
        loss: what is maximised.
        epsilon, steps, step: as in `perturb`.
    """
    low, high = _bounds(pixels, epsilon)
    result = start.clone()
    rows = torch.arange(len(pixels), device=pixels.device)
    current = start.detach()
    for _ in range(steps):
        current.requires_grad_()
        scores = logits(current)
        is_wrong = is_misclassified(scores.detach(), is_positive)
        is_right = ~is_wrong
        (gradient,) = torch.autograd.grad(loss(scores, is_positive).sum(), current)
        if is_wrong.any():
            result[rows[is_wrong]] = current.detach()[is_wrong]
            rows, is_positive, low, high = (values[is_right] for values in (rows, is_positive, low, high))
            current, gradient = current.detach()[is_right], gradient[is_right]
            if not len(rows):
                return result
        current = _ascend(current, gradient, step, low, high)
    result[rows] = current.detach()
    return result


def random_point(pixels: torch.Tensor, epsilon: float, generator: torch.Generator) -> torch.Tensor:
    """Return a uniformly random point of the ball around each image, clipped to [0, 1]."""
    noise = torch.rand(pixels.shape, generator=generator, device=generator.device).to(pixels.device)
    return (pixels.detach() + epsilon * (2 * noise - 1)).clamp_(0, 1)


def _bounds(pixels: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The smallest and the largest value that each pixel may take."""
    pixels = pixels.detach()
    return (pixels - epsilon).clamp_(min=0), (pixels + epsilon).clamp_(max=1)


def _ascend(
    current: torch.Tensor, gradient: torch.Tensor, step: float, low: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    """One step along the sign of the gradient, projected."""
    return torch.add(current.detach(), gradient.sign(), alpha=step).clamp_(low, high)
