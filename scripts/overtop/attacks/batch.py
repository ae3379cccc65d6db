"""One attack on one batch of images, with restarts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from overtop.attacks.library import applicable_kind, library_version, perturb_with_library
from overtop.attacks.losses import AttackLoss, cross_entropy, is_misclassified, margin
from overtop.attacks.pgd import perturb_from, perturb_until_wrong, random_point
from overtop.config.attacks import GradientAttack, LibraryAttack
from overtop.seeds import derive_seed

LOSSES: dict[str, AttackLoss] = {"pgd": cross_entropy, "cw": margin}


def describe_attack(spec: GradientAttack | LibraryAttack, n_groups: int) -> dict[str, Any]:
    """Return the full specification of an attack among `n_groups` answers, for the provenance of its results."""
    described = {**spec.model_dump(), "norm": "linf", "start": "uniform", "answers": n_groups}
    if isinstance(spec, LibraryAttack):
        return {**described, "library": library_version(), "ran": applicable_kind(spec.kind, n_groups)}
    return {**described, "step": spec.step_length, "result": "first wrong" if spec.early_stop else "last"}


@dataclass(frozen=True)
class AttackedBatch:
    """A batch after an attack.

    Attributes:
        pixels: (B, 3, H, W) in [0, 1].
        was_wrong: (B,) bool, images that are misclassified without the attack.
        is_wrong: (B,) bool, images that are misclassified now.
    """

    pixels: torch.Tensor
    was_wrong: torch.Tensor
    is_wrong: torch.Tensor


def attack_batch(
    logits: Callable[[torch.Tensor], torch.Tensor],
    pixels: torch.Tensor,
    is_positive: torch.Tensor,
    spec: GradientAttack | LibraryAttack,
    seed: int,
) -> AttackedBatch:
    """Attack a batch.

    Gradient attacks also move images that are wrong already, unless they stop early. Attacks of the library leave those
    images, and images that resist, as they are.

    Args:
        logits: maps pixels (b, 3, H, W) to logits (b, G).
        pixels: (B, 3, H, W) in [0, 1].
        is_positive: (B, G) bool, the right answers.
        spec: the attack.
        seed: seed of the batch; each restart derives its own.

    Raises:
        OvertopError: the attack needs a package that is not installed, or cannot take several positives.
    """
    with torch.no_grad():
        was_wrong = is_misclassified(logits(pixels), is_positive)
    if isinstance(spec, GradientAttack):
        return _attack_with_gradients(logits, pixels, is_positive, spec, seed, was_wrong)
    attacked = perturb_with_library(pixels, is_positive, logits, spec, seed)
    with torch.no_grad():
        return AttackedBatch(attacked, was_wrong, is_misclassified(logits(attacked), is_positive))


def _attack_with_gradients(
    logits: Callable[[torch.Tensor], torch.Tensor],
    pixels: torch.Tensor,
    is_positive: torch.Tensor,
    spec: GradientAttack,
    seed: int,
    was_wrong: torch.Tensor,
) -> AttackedBatch:
    """For each image the first restart that succeeds, else the one with the largest loss."""
    loss, epsilon = LOSSES[spec.kind], spec.epsilon / 255
    options: dict[str, Any] = {"epsilon": epsilon, "steps": spec.steps, "step": spec.step_length / 255}
    result = pixels.clone()
    is_wrong = was_wrong.clone() if spec.early_stop else torch.zeros_like(was_wrong)
    largest = torch.full(was_wrong.shape, -torch.inf, device=pixels.device)
    for restart in range(spec.restarts):
        rows = torch.nonzero(~is_wrong)[:, 0]
        if not len(rows):
            break
        generator = torch.Generator(pixels.device).manual_seed(derive_seed(seed, restart))
        # Drawn for the whole batch, so that an image's start does not depend on which others are wrong.
        start = random_point(pixels, epsilon, generator)[rows]
        attacked = _ascend(logits, start, pixels[rows], is_positive[rows], loss, spec.early_stop, options)
        with torch.no_grad():
            scores = logits(attacked)
        is_wrong[rows] = is_misclassified(scores, is_positive[rows])
        values = loss(scores, is_positive[rows]).float().masked_fill(is_wrong[rows], torch.inf)
        is_larger = (values > largest[rows]) | (restart == 0)
        result[rows[is_larger]], largest[rows[is_larger]] = attacked[is_larger], values[is_larger]
    return AttackedBatch(result, was_wrong, is_wrong)


def _ascend(
    logits: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    pixels: torch.Tensor,
    is_positive: torch.Tensor,
    loss: AttackLoss,
    early_stop: bool,
    options: dict[str, Any],
) -> torch.Tensor:
    if early_stop:
        return perturb_until_wrong(start, pixels, is_positive, logits, loss, **options)
    return perturb_from(start, pixels, lambda current: loss(logits(current), is_positive), **options)
