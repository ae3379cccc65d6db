"""Features of locked towers on a split, and their file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from overtop.errors import OvertopError
from overtop.storage.digests import REBUILD
from overtop.storage.split import Split
from overtop.storage.tensors import read_tensors, write_tensors

SCHEMA = "features/1"


@dataclass(frozen=True)
class TrunkFeatures:
    """Outputs of both towers before their heads, for N images and M texts.

    Attributes:
        image: (N, Di) float32.
        text: (M, Dt) float32.
    """

    image: torch.Tensor
    text: torch.Tensor


def write_trunk_features(path: str | Path, features: TrunkFeatures, architecture: str, split: Split) -> None:
    """Write features as safetensors with a digest of what they were computed from, atomically.

    Args:
        path: the file.
        features: the features.
        architecture: the architecture whose towers computed them.
        split: the images, and the captions or the prompts of classes.
    """
    tensors = {"image": features.image, "text": features.text}
    write_tensors(path, SCHEMA, tensors, {"items": _digest_inputs(architecture, split)})


def read_trunk_features(path: str | Path, architecture: str, split: Split) -> TrunkFeatures:
    """Read what `write_trunk_features` wrote.

    Raises:
        OvertopError: the file is missing or damaged, or was computed from another split or with another architecture.
    """
    tensors, facts = read_tensors(path, SCHEMA)
    if facts["items"] != _digest_inputs(architecture, split):
        raise OvertopError(f"{path}: was computed from another split or with other towers; {REBUILD}")
    return TrunkFeatures(tensors["image"], tensors["text"])


def _digest_inputs(architecture: str, split: Split) -> str:
    parts = [architecture, *split.image_ids, *split.caption_ids, *split.captions, *(split.templates or [])]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
