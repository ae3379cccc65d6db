"""Seeded draws of items by their ids."""

from collections.abc import Sequence

import numpy as np

from overtop.seeds import derive_seed


def draw_items(ids: Sequence[str], n: int, seed: int, purpose: str) -> np.ndarray:
    """Draw `n` items: a bool mask of shape (len(ids),).

    Every item has a pseudo-random number that depends on its id, the seed and the purpose; those with the lowest
    numbers are drawn. The draw does not depend on the order of the items, and changes little if items are added.

    Args:
        ids: unique names of the items.
        n: number of items to draw, at most all.
        seed: of the draw.
        purpose: what is drawn; draws for different purposes are independent.
    """
    return rank_items(ids, seed, purpose) < n


def rank_items(ids: Sequence[str], seed: int, purpose: str) -> np.ndarray:
    """The places of items in a random order, int64 (len(ids),); see `draw_items`.

    Args:
        ids: names of the items; those with the same name have the same place, that of the first of them.
        seed: of the draw.
        purpose: what is drawn.
    """
    numbers = np.array([derive_seed(seed, purpose, item) for item in ids], dtype=np.uint64)
    return np.searchsorted(np.sort(numbers), numbers)
