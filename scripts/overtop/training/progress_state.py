"""The state of an unfinished training run, from which a killed job continues."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from overtop.storage.files import atomic_path, sha256

_LOG = logging.getLogger(__name__)

_DIGITS = 64
"""Digits of a sha256."""


@dataclass
class TrainingState:
    """Everything that the next step depends on, and what was recorded so far.

    Attributes:
        step: number of steps done.
        weights: the trained weights, in the order of the model.
        optimizer: state of the optimizer.
        best_weights: the weights after the best epoch so far; empty before the first.
        best_score: validation score of that epoch.
        best_epoch: number of that epoch, from 1.
        rows: rows of the training log.
        random: states of random generators; empty if every step derives its seeds.
    """

    step: int = 0
    weights: list[torch.Tensor] = field(default_factory=list)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best_weights: list[torch.Tensor] = field(default_factory=list)
    best_score: float = -1.0
    best_epoch: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    random: dict[str, Any] = field(default_factory=dict)


def state_path(output: str | Path) -> Path:
    """The hidden file with the state of the run that will write `output`."""
    path = Path(output)
    return path.with_name(f".{path.stem}.state")


def write_state(path: Path, state: TrainingState, digest: str) -> None:
    """Write a state and, at the end of the file, the sha256 of what is before it, atomically.

    Args:
        path: the file.
        state: the state.
        digest: of everything that determines the run.

    Raises:
        OvertopError: no space is left on the disk.
    """
    with atomic_path(path) as temporary:
        torch.save({"digest": digest, **vars(state)}, temporary)
        content_digest = sha256(temporary)
        with open(temporary, "ab") as file:
            file.write(content_digest.encode())


def read_state(path: Path, digest: str) -> TrainingState | None:
    """The state that `write_state` wrote, on the CPU; None if there is none of this run.

    A damaged file, or the state of another configuration, is reported in the log and not used.

    Args:
        path: the file.
        digest: of everything that determines this run.
    """
    if not path.is_file():
        return None
    content = path.read_bytes()
    content, stored = content[:-_DIGITS], content[-_DIGITS:]
    if hashlib.sha256(content).hexdigest().encode() != stored:
        _LOG.warning("%s: content differs from its digest; training starts from the beginning", path)
        return None
    values = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    if values.pop("digest") != digest:
        _LOG.warning("%s: of another configuration or other inputs; training starts from the beginning", path)
        return None
    return TrainingState(**values)


def copy_weights(parameters: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """The values of parameters, on the CPU; later steps do not change them."""
    return [parameter.detach().cpu().clone() for parameter in parameters]


@torch.no_grad()
def set_weights(parameters: Sequence[nn.Parameter], weights: Sequence[torch.Tensor]) -> None:
    """Give parameters the values that `copy_weights` returned for them."""
    for parameter, weight in zip(parameters, weights, strict=True):
        parameter.copy_(weight)
