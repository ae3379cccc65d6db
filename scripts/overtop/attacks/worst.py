"""The worst case over several attacks and the clean image, image by image, from their embeddings alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from overtop.attacks.gallery import Gallery, positives_of_images
from overtop.attacks.losses import is_misclassified, margin
from overtop.attacks.shard import Outcome
from overtop.errors import OvertopError
from overtop.retrieval.relevance import row_numbers
from overtop.storage.arrays import decode_strings, read_arrays
from overtop.storage.shards import SCHEMA
from overtop.storage.split import Split

_BLOCK = 256
"""Images whose logits are computed at once."""


@dataclass(frozen=True)
class ViewShard:
    """One shard of the images of an encoder in one view: clean, or under an attack.

    Attributes:
        path: the file.
        embedding: (S, n, D).
        valid: (n,) bool.
        item_ids: n names.
        provenance: of the file.
    """

    path: str | Path
    embedding: np.ndarray
    valid: np.ndarray
    item_ids: list[str]
    provenance: dict[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> "ViewShard":
        """Read and verify a shard; the errors are those of `read_arrays`."""
        arrays, provenance = read_arrays(path, SCHEMA)
        item_ids = decode_strings(arrays.pop("item_id"))
        return cls(path, item_ids=item_ids, provenance=provenance, **arrays)


def choose_worst(is_wrong: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Return the number of the worst view of each image: the first that is wrong, else the one closest to it.

    Args:
        is_wrong: (V, n) bool, whether the image is misclassified in each view.
        margins: (V, n) by how much the best wrong answer is ahead of the best right one.

    Returns:
        (n,) int64; the first view among equals.
    """
    return np.where(is_wrong.any(axis=0), is_wrong.argmax(axis=0), margins.argmax(axis=0))


def judge_views(views: Sequence[ViewShard], split: Split, gallery: Gallery) -> tuple[np.ndarray, np.ndarray]:
    """Return which images are misclassified in each view, and their margins, both (V, n).

    Args:
        views: deterministic shards of the same images.
        split: the split that they belong to.
        gallery: its answers, by the same encoder.

    Raises:
        OvertopError: the shards are of different images.
    """
    _check_same_images(views)
    images = row_numbers(split.image_ids, views[0].item_ids)
    is_wrong = np.zeros((len(views), len(images)), dtype=bool)
    margins = np.full((len(views), len(images)), -np.inf)
    for start in range(0, len(images), _BLOCK):
        block = slice(start, start + _BLOCK)
        is_positive = torch.from_numpy(positives_of_images(split, images[block]))
        for number, view in enumerate(views):
            logits = gallery.logits(torch.from_numpy(view.embedding[0, block]))
            is_wrong[number, block] = is_misclassified(logits, is_positive)
            margins[number, block] = margin(logits, is_positive)
    return is_wrong & views[0].valid, np.where(views[0].valid, margins, 0)


def take_views(views: Sequence[ViewShard], choice: np.ndarray) -> np.ndarray:
    """Return the embeddings (S, n, D) of each image in the view that was chosen for it.

    Args:
        views: shards of the same images and sampling.
        choice: (n,) number of a view.

    Raises:
        OvertopError: the shards are of different images.
    """
    _check_same_images(views)
    embedding = views[0].embedding.copy()
    for number, view in enumerate(views[1:], start=1):
        embedding[:, choice == number] = view.embedding[:, choice == number]
    return embedding


def worst_outcome(attacks: Sequence[ViewShard], is_wrong: np.ndarray) -> Outcome:
    """Return the outcome of the worst case; its perturbations are those of all attacks.

    Args:
        attacks: the shards of the attacks.
        is_wrong: (V, n) as from `judge_views`, the clean view first.
    """
    outcomes = [Outcome(**attack.provenance["outcome"]) for attack in attacks]
    return Outcome(
        outcomes[0].images,
        int(is_wrong[0].sum()),
        int(is_wrong.any(axis=0).sum()),
        max(outcome.max_perturbation for outcome in outcomes),
        min(outcome.pixel_min for outcome in outcomes),
        max(outcome.pixel_max for outcome in outcomes),
    )


def _check_same_images(views: Sequence[ViewShard]) -> None:
    first = views[0]
    for view in views[1:]:
        is_same = view.item_ids == first.item_ids and np.array_equal(view.valid, first.valid)
        if not is_same or view.provenance["encoder"] != first.provenance["encoder"]:
            raise OvertopError(f"{view.path}: has other images or another encoder than {first.path}; delete both")
