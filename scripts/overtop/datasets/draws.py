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
    numbers = [derive_seed(seed, purpose, item) for item in ids]
    drawn = np.zeros(len(ids), dtype=bool)
    drawn[np.argsort(numbers, kind="stable")[:n]] = True
    return drawn
