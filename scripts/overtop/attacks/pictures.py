"""The pixels of some attacked images, kept to be looked at."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from overtop.attacks.shard import ShardAttack
from overtop.errors import OvertopError
from overtop.storage.arrays import encode_strings, write_arrays

SCHEMA = "pictures/1"


@dataclass(frozen=True)
class Pictures:
    """Images before and after an attack.

    Attributes:
        item_ids: n names.
        clean: (n, 3, H, W) float32 pixels in [0, 1].
        attacked: (n, 3, H, W).
        logits_clean: (n, G) of the clean images.
        logits_attacked: (n, G).
        is_positive: (n, G) bool, the right answers.
    """

    item_ids: list[str]
    clean: np.ndarray
    attacked: np.ndarray
    logits_clean: np.ndarray
    logits_attacked: np.ndarray
    is_positive: np.ndarray


def perturb_first_batch(attack: ShardAttack) -> Pictures:
    """Return the readable images of the first batch of a shard, perturbed as for their embeddings.

    Raises:
        OvertopError: none of these images is readable, or as `ShardAttack.batches`.
    """
    with closing(attack.batches()) as batches:
        readable, pixels, attacked = next(batches)
    rows = attack.rows.start + np.flatnonzero(readable)
    if attacked is None:
        raise OvertopError("no image of the first batch can be read; check the files of the data set")
    with torch.no_grad():
        before, after = (attack.classifier.logits(images).cpu().numpy() for images in (pixels, attacked.pixels))
    return Pictures(
        [attack.split.image_ids[row] for row in rows],
        pixels.cpu().numpy(),
        attacked.pixels.cpu().numpy(),
        before,
        after,
        attack.positives(rows).cpu().numpy(),
    )


def write_pictures(path: str | Path, pictures: Pictures, provenance: Mapping[str, Any]) -> None:
    """Write pictures to one HDF5 file, atomically; arrays have the names of the attributes, and `item_id`."""
    arrays = {name: value for name, value in vars(pictures).items() if name != "item_ids"}
    write_arrays(path, SCHEMA, {**arrays, "item_id": encode_strings(pictures.item_ids)}, provenance)
