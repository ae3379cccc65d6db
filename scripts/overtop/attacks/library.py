"""Parameter-free attacks (Croce and Hein 2020) of their authors' package `pyautoattack`: APGD-CE, APGD-DLR, APGD-T.

Images that are wrong before the attack, and images that resist it, keep their clean pixels. The package draws its
random numbers for the images of a batch that are still right, so the batch is the unit of the seed.
"""

import importlib
import importlib.util
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from overtop.config.attacks import LibraryAttack
from overtop.errors import OvertopError

PACKAGE = "pyautoattack"
MIN_CLASSES = {"apgd-t": 4, "apgd-dlr": 3, "apgd-ce": 1}
"""Answers that each attack needs, strongest first; DLR is a ratio of three logits, its targeted form of four."""
MAX_TARGETS = 9
"""Wrong answers that APGD-T aims at, the most likely first, as in AutoAttack."""
_LOG = logging.getLogger(__name__)


def check_installed() -> None:
    """Check that the package is installed.

    Raises:
        OvertopError: it is not.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        kinds = ", ".join(sorted(MIN_CLASSES))
        raise OvertopError(
            f"attacks of the kinds {kinds} need the package {PACKAGE}, which is not installed; "
            "run: pip install 'overtop[attacks]'"
        )


def library_version() -> str:
    """The name and version of the installed package."""
    return f"{PACKAGE} {version(PACKAGE)}"


def applicable_kind(kind: str, n_groups: int) -> str:
    """Return the attack to run: `kind`, or with fewer answers than it needs the strongest that they suffice for."""
    kinds = list(MIN_CLASSES)
    return next(other for other in kinds[kinds.index(kind) :] if n_groups >= MIN_CLASSES[other])


def perturb_with_library(
    pixels: torch.Tensor,
    is_positive: torch.Tensor,
    logits: Callable[[torch.Tensor], torch.Tensor],
    spec: LibraryAttack,
    seed: int,
) -> torch.Tensor:
    """Attack a batch.

    Args:
        pixels: (B, 3, H, W) in [0, 1].
        is_positive: (B, G) bool, one positive per image.
        logits: maps pixels (b, 3, H, W) to logits (b, G).
        spec: the attack.
        seed: seed of the batch.

    Returns:
        (B, 3, H, W) a misclassified image where the attack succeeded, else the clean one.

    Raises:
        OvertopError: the package is not installed, or an image has several positives.
    """
    check_installed()
    if (is_positive.sum(dim=1) != 1).any():
        raise OvertopError(
            f"attacks of kind {spec.kind} take one label per image, but an image has several; use pgd or cw"
        )
    attack = _make_attack(logits, is_positive.shape[1], spec, seed, pixels.device)
    with torch.random.fork_rng():  # the package seeds torch's global generator
        return attack.perturb(pixels, is_positive.int().argmax(dim=1)).detach()


def _make_attack(
    logits: Callable[[torch.Tensor], torch.Tensor], n_groups: int, spec: LibraryAttack, seed: int, device: torch.device
) -> Any:
    """The package's object for an attack."""
    module = importlib.import_module(f"{PACKAGE}.autopgd_base")
    kind = applicable_kind(spec.kind, n_groups)
    if kind != spec.kind:
        _LOG.warning("%s needs %d answers, there are %d: %s instead", spec.kind, MIN_CLASSES[spec.kind], n_groups, kind)
    options = {
        "n_iter": spec.steps,
        "norm": "Linf",
        "n_restarts": spec.restarts,
        "eps": spec.epsilon / 255,
        "seed": seed,
        "device": device,
        "logger": _LOG,
    }
    if kind == "apgd-t":
        return module.APGDAttack_targeted(logits, n_target_classes=min(MAX_TARGETS, n_groups - 1), **options)
    return module.APGDAttack(logits, loss=kind.removeprefix("apgd-"), **options)
