"""The best items outside the group of the top-1: those that could take its place."""

import numpy as np

from overtop.memory import CACHE_BYTES, MAX_ARRAY_BYTES, blocks
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.other_groups import MISSING, first_of_other_groups
from overtop.retrieval.ranking import MAX_RIVALS, count_groups
from overtop.retrieval.similarities import mean_similarities
from overtop.storage.shards import EmbeddingSource


def rivals_among(ids: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best item of each of the best other groups among the items of a ranking.

    Args:
        ids: (Q, K) gallery items, best first.
        scores: (Q, K) their similarities.
        groups: (N,) group of each item of the gallery, a number that is not negative.

    Returns:
        (Q, R) items, best first, and their similarities; `MISSING` and minus infinity where the K items do not contain
        so many groups. R is `MAX_RIVALS`, or K - 1 or the number of other groups if that is less.
    """
    count = min(MAX_RIVALS, ids.shape[1] - 1, count_groups(groups) - 1)
    rivals = np.full((len(ids), count), MISSING, dtype=np.int32)
    similarities = np.full((len(ids), count), -np.inf, dtype=np.float32)
    for part in blocks(len(ids), 8 * ids.shape[1], CACHE_BYTES):
        positions = first_of_other_groups(groups[ids[part]], count)
        found = positions != MISSING
        rivals[part] = np.where(found, np.take_along_axis(ids[part], positions, axis=1), MISSING)
        similarities[part] = np.where(found, np.take_along_axis(scores[part], positions, axis=1), -np.inf)
    return rivals, similarities


def complete_rivals(
    queries: EmbeddingSource,
    gallery: GroupedItems,
    top1: np.ndarray,
    rivals: tuple[np.ndarray, np.ndarray],
    device: str,
) -> None:
    """Find the missing rivals in the whole gallery.

    Args:
        queries: Q queries.
        gallery: N distinct items.
        top1: (Q,) best item of each query.
        rivals: result of `rivals_among`, changed in place.
        device: torch device of the products.
    """
    items, scores = rivals
    source = gallery.items.source
    incomplete = np.flatnonzero((items == MISSING).any(axis=1))
    for part in blocks(len(incomplete), 8 * (source.n_items + max(source.dims)), MAX_ARRAY_BYTES):
        rows = incomplete[part]
        similarities = mean_similarities(queries, source, device, rows)
        best, of_group = gallery.best_of_groups(similarities)
        of_group[np.arange(len(rows)), gallery.group_of_item[top1[rows]]] = -np.inf
        order = np.argsort(-of_group, axis=1, kind="stable")[:, : items.shape[1]]
        items[rows] = np.take_along_axis(best, order, axis=1)
        scores[rows] = np.take_along_axis(of_group, order, axis=1)
