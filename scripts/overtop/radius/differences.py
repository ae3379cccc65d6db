"""Products with v = g_1 - g_j, the difference between the top-1 of a query and another gallery item.

The query is closer to g_1 than to g_j where its margin q.v is positive, and |q.v| / |v| is its distance from the
hyperplane between the two.
"""

import numpy as np
import torch

from overtop.memory import CACHE_BYTES, MAX_ARRAY_BYTES, blocks
from overtop.radius.geometry import Space
from overtop.radius.tolerances import SAME_ITEM_DISTANCE, SMALL_MARGIN, SMALL_SQUARED_DISTANCE
from overtop.retrieval.vectors import UnitVectors


def refine_margins(
    space: Space, rows: np.ndarray, items: np.ndarray, margins: np.ndarray, ambiguous: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return q.v and |v|^2 of pairs of a query and an item, in float64 where float32 is not accurate enough.

    Args:
        space: queries and gallery.
        rows: (P,) queries.
        items: (P,) gallery items.
        margins: (P,) q.v in float32 accuracy.
        ambiguous: (P,) bool, further pairs that need float64; pairs of small values always do.

    Returns:
        q.v and |v|^2, each (P,) float64. In pairs computed in float64, q.v is at least 0, and 0 for equal items.
    """
    squared = _squared_distances(space, space.top1[rows], items)
    refine = (margins <= SMALL_MARGIN) | (squared <= SMALL_SQUARED_DISTANCE)
    if ambiguous is not None:
        refine |= ambiguous
    if refine.any():
        margins = margins.copy()
        margins[refine], squared[refine] = compute_margins(space, rows[refine], items[refine])
    return margins, squared


def compute_margins(space: Space, rows: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return q.v and |v|^2 of pairs of a query and an item with all products in float64.

    Args:
        space: queries and gallery.
        rows: (P,) queries.
        items: (P,) gallery items.

    Returns:
        q.v and |v|^2, each (P,) float64; q.v is at least 0, and 0 where the items are the same.
    """
    samples = space.gallery.n_samples
    margins, squared = torch.zeros(2, len(rows), dtype=torch.float64, device=space.device)
    for part in blocks(len(rows), 24 * max(space.gallery.dims), MAX_ARRAY_BYTES):
        pairs = np.stack([space.top1[rows[part]], items[part]])
        for s in range(samples):
            queries = UnitVectors(space.queries, s, rows[part], space.device, torch.float64)
            ends = UnitVectors(space.gallery, s, pairs, space.device, torch.float64)
            for block in blocks(part.stop - part.start, 16 * space.gallery.dims[s], CACHE_BYTES):
                top1, other = ends[:, block]
                v = top1 - other
                target = slice(part.start + block.start, part.start + block.stop)
                margins[target] += (queries[block] * v).sum(dim=1)
                squared[target] += (v * v).sum(dim=1)
    margin_means, squared_means = ((values / samples).cpu().numpy() for values in (margins, squared))
    is_distinct = squared_means > SAME_ITEM_DISTANCE**2
    return np.where(is_distinct, np.maximum(margin_means, 0.0), 0.0), squared_means


def compute_grams(space: Space, rows: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each query and K items with v_j = g_1 - g_j, the margins q.v_j and the Gram matrix of the v_j.

    Args:
        space: queries and gallery.
        rows: (B,) queries.
        items: (B, K) gallery items.

    Returns:
        (B, K) and (B, K, K), float32.
    """
    count, width = items.shape
    samples = space.gallery.n_samples
    margins = torch.zeros(count, width, device=space.device)
    grams = torch.zeros(count, width, width, device=space.device)
    for s in range(samples):
        queries = UnitVectors(space.queries, s, rows, space.device)
        top1 = UnitVectors(space.gallery, s, space.top1[rows], space.device)
        others = UnitVectors(space.gallery, s, items, space.device)
        for block in blocks(count, 4 * width * space.gallery.dims[s], CACHE_BYTES):
            v = top1[block][:, None] - others[block]
            margins[block] += (v @ queries[block][:, :, None])[..., 0]
            grams[block] += v @ v.mT
    return (margins / samples).cpu().numpy(), (grams / samples).cpu().numpy()


def _squared_distances(space: Space, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the squared distances of pairs of gallery items in float32 accuracy, (P,) float64."""
    if space.gallery_products is not None:
        return 2.0 - 2.0 * space.gallery_products[first, second].astype(np.float64)
    samples = space.gallery.n_samples
    squared = torch.zeros(len(first), device=space.device)
    for part in blocks(len(first), 8 * max(space.gallery.dims), MAX_ARRAY_BYTES):
        pairs = np.stack([first[part], second[part]])
        for s in range(samples):
            ends = UnitVectors(space.gallery, s, pairs, space.device)
            for block in blocks(part.stop - part.start, 8 * space.gallery.dims[s], CACHE_BYTES):
                one, other = ends[:, block]
                squared[part][block] += torch.linalg.vecdot(one.sub_(other), one)
    return (squared / samples).cpu().numpy().astype(np.float64)
