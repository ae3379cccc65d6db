"""The candidate rivals of queries, and the products that a trajectory needs of them.

With v_j = g_1 - g_j for candidate j, these are the margins q.v_j and rows of the Gram matrix of the v_j.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from overtop.radius.differences import compute_grams
from overtop.radius.geometry import Space

NO_ITEM = -1
"""Placeholder in arrays of gallery items."""


class GramRows(Protocol):
    """Access to the Gram matrices of the candidates of B queries."""

    def __call__(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Return the products v_i.v_j of candidate i with all candidates j.

        Args:
            queries: (n,) positions of queries, from 0 to B - 1.
            candidates: (n,) positions of candidates, from 0 to K - 1.

        Returns:
            (n, K).
        """
        ...


@dataclass(frozen=True)
class Candidates:
    """B queries and the K candidate rivals of each.

    Attributes:
        rows: (B,) the queries.
        items: (B, K) gallery items, or `NO_ITEM`.
        margins: (B, K) q.v_j for queries of length one; infinite for `NO_ITEM`.
        squared: (B, K) float64 |v_j|^2.
        gram_rows: the products v_i.v_j.
    """

    rows: np.ndarray
    items: np.ndarray
    margins: np.ndarray
    squared: np.ndarray
    gram_rows: GramRows


def load_candidates(space: Space, rows: np.ndarray, items: np.ndarray) -> Candidates:
    """Return the candidates of some queries from the products of the gallery, if available, or from the embeddings.

    Args:
        space: queries, gallery and ranking.
        rows: (B,) ascending queries.
        items: (B, K) gallery items: the items of the ranking from the second best on.
    """
    products, top1 = space.gallery_products, space.top1[rows]
    if products is None:
        return gather_candidates(space, rows, items)
    scores = space.ranking.top_scores[rows, : items.shape[1] + 1].astype(np.float64)
    squared = 2.0 - 2.0 * products[top1[:, None], items].astype(np.float64)
    return Candidates(rows, items, scores[:, :1] - scores[:, 1:], squared, _GramRowsFromProducts(products, top1, items))


def gather_candidates(space: Space, rows: np.ndarray, items: np.ndarray) -> Candidates:
    """Return the candidates of some queries from the embeddings.

    Args:
        space: queries and gallery.
        rows: (B,) ascending queries.
        items: (B, K) gallery items, or `NO_ITEM`.
    """
    missing = items == NO_ITEM
    margins, grams = compute_grams(space, rows, np.where(missing, space.top1[rows, None], items))
    squared = np.einsum("bii->bi", grams).astype(np.float64)
    return Candidates(rows, items, np.where(missing, np.inf, margins), squared, _StoredGramRows(grams))


class _GramRowsFromProducts:
    """Gram rows from the products of the gallery with itself.

    Args:
        products: (N, N) products of the gallery.
        top1: (B,) best items.
        items: (B, K) candidates.
    """

    def __init__(self, products: np.ndarray, top1: np.ndarray, items: np.ndarray) -> None:
        self._products, self._top1, self._items = products, top1, items

    def __call__(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        top1, others = self._top1[queries, None], self._items[queries]
        rival = self._items[queries, candidates][:, None]
        # (g_1 - g_i).(g_1 - g_j), term by term
        return (
            1.0
            - self._products[top1, others]
            - self._products[top1, rival].astype(np.float64)
            + self._products[rival, others]
        )


class _StoredGramRows:
    """Gram rows of Gram matrices in memory.

    Args:
        grams: (B, K, K).
    """

    def __init__(self, grams: np.ndarray) -> None:
        self._grams = grams

    def __call__(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        return self._grams[queries, candidates]
