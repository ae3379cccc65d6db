"""Groups of gallery items that are known to belong together, and sums over them.

Captions of one image, prompts of one class and exact duplicates are no rivals of each other: whichever of them comes
first, the answer is the same. Knowing which items belong together is not knowing which are right. The group of an item
is the declared group of the first item with the same embeddings, so that the groups are a partition of the gallery.
"""

from collections.abc import Sequence

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.ranking import count_groups
from overtop.storage.split import Split
from overtop.terms import Direction


def declare_groups(split: Split, direction: Direction, gallery_ids: Sequence[str]) -> np.ndarray:
    """Return the groups that a split declares: the captions of an image; all other items by themselves.

    Args:
        split: the pairs of images and captions.
        direction: direction of the ranking.
        gallery_ids: N items of its gallery.

    Returns:
        (N,) int64 number of the group of each item. That of captions is the number of their image; captions whose
        image is unknown have further numbers.
    """
    if direction == "t2i" or split.is_classes:
        return np.arange(len(gallery_ids))
    groups = split.image_rows(gallery_ids, split.image_ids)
    unpaired = np.flatnonzero(groups < 0)
    groups[unpaired] = len(split.image_ids) + np.arange(len(unpaired))
    return groups


def merge_duplicates(declared: np.ndarray | None, first: np.ndarray) -> np.ndarray:
    """Return the partition of the gallery in which duplicates share the group of the first of them.

    Args:
        declared: (N,) declared group of each item; None if each is a group of its own.
        first: (N,) index of the first item with the same embeddings.

    Returns:
        (N,) int32 group of each item: the smallest index in it.
    """
    if declared is None:
        return first.astype(np.int32)
    _, smallest, group = np.unique(declared[first], return_index=True, return_inverse=True)
    return smallest[group].astype(np.int32)


class GroupedItems:
    """The distinct items of one modality, in which those of a group follow each other.

    Args:
        items: the items.
        declared: (N,) declared group of each of them, copies included; None if only duplicates belong together.

    Attributes:
        items: as given.
        groups: (N,) int32 group of each item, copies included; see `merge_duplicates`.
        group_of_item: (n,) number of the group of each distinct item, from 0 to G - 1, ascending.
        are_single: whether every item is a group of its own and occurs once.

    Raises:
        OvertopError: the items of a group do not follow each other.
    """

    def __init__(self, items: DistinctItems, declared: np.ndarray | None = None) -> None:
        self.items = items
        self.groups = merge_duplicates(declared, items.first)
        of_distinct = self.groups[items.rows]
        starts = np.append(0, np.flatnonzero(np.diff(of_distinct)) + 1)
        if len(starts) != count_groups(of_distinct):
            raise OvertopError("the items of a group must follow each other in the gallery; sort the gallery by group")
        self._bounds = np.append(starts, len(of_distinct))
        self.group_of_item = np.repeat(np.arange(len(starts)), np.diff(self._bounds))
        self.are_single = len(starts) == len(self.groups)

    @property
    def all(self) -> slice:
        """All distinct items."""
        return slice(0, len(self.group_of_item))

    def cut(self, items: slice, size: int) -> list[slice]:
        """Cut consecutive items into about equally long slices of at most `size` items that hold whole groups.

        A group of more than `size` items is a slice by itself.
        """
        count = items.stop - items.start
        target = -(-count // -(-count // max(1, size)))
        slices, start = [], items.start
        while start < items.stop:
            bound = int(np.searchsorted(self._bounds, min(start + target, items.stop)))
            if self._bounds[bound] > start + size and self._bounds[bound - 1] > start:
                bound -= 1
            slices.append(slice(start, int(self._bounds[bound])))
            start = slices[-1].stop
        return slices

    def best_of_groups(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the best item of each group, the first among equals, and its score, each (Q, G).

        Args:
            scores: (Q, N).
        """
        best = np.maximum.reduceat(scores, self._bounds[:-1], axis=1)
        is_best = scores == best[:, self.group_of_item]
        position = np.where(is_best, np.arange(scores.shape[1]), scores.shape[1])
        return np.minimum.reduceat(position, self._bounds[:-1], axis=1), best

    def within(self, items: slice, device: str) -> "BlockGroups":
        """Return the groups of a slice from `cut`."""
        groups = self.group_of_item[items]
        return BlockGroups(
            torch.as_tensor(groups - groups[0], device=device),
            torch.as_tensor(self.items.copies[items], dtype=torch.float32, device=device),
        )


class BlockGroups:
    """The groups of a block of gallery items.

    Args:
        position: (n,) int64 group of each item, from 0 to G - 1, ascending.
        copies: (n,) float32, how often each item occurs.
    """

    def __init__(self, position: torch.Tensor, copies: torch.Tensor) -> None:
        self.position, self.copies = position, copies
        self._count = int(position[-1]) + 1
        self._has_copies = bool((copies > 1).any())

    def multiply_by_copies(self, weights: torch.Tensor) -> torch.Tensor:
        """Multiply the weights (rows, n) of the items by how often they occur, in place, and return them."""
        return weights.mul_(self.copies) if self._has_copies else weights

    def sum(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the sums of weights (rows, n) over the items of each group, (rows, G), in the same memory layout."""
        rows = len(weights)
        if weights.stride(1) == 1:
            return weights.new_zeros(rows, self._count).index_add_(1, self.position, weights)
        return weights.new_zeros(self._count, rows).index_add_(0, self.position, weights.T).T
