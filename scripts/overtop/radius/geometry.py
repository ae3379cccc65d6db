"""The geometry in which a radius is measured: queries and gallery items as unit vectors, and their products.

An item's vector is its samples' unit embeddings, concatenated and divided by sqrt(S); a product is therefore the mean
over samples of the samples' products. The vectors are never concatenated in memory: a sample is read at a time, and of
the gallery only the items that are asked for, or a block.

Products are float32 and off by less than SLACK, in truth by 1e-7. Where that could matter, float64 takes their place,
computed from the difference g_1 - g_j, so that nothing cancels between items that are nearly the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from overtop.memory import CACHE_BYTES, MAX_ARRAY_BYTES, blocks
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.vectors import UnitRows, unit, units_of
from overtop.storage.shards import EmbeddingSource

SLACK = 1e-5
"""More than a float32 product of unit vectors can be off."""


SAME = 1e-6
"""Unit gallery items closer than this are one item to float32 embeddings."""


NARROW, CLOSE = 1e-3, 1e-2
"""Difference of similarities, and squared distance of gallery items, of which float32 products say too little."""


@dataclass(frozen=True)
class Space:
    """Q queries, N gallery items and the ranking of the gallery by their products.

    Attributes:
        queries: embeddings of the queries.
        gallery: embeddings of the gallery.
        ranking: the gallery's best items for each query, best first.
        device: a torch device for the products.
    """

    queries: EmbeddingSource
    gallery: EmbeddingSource
    ranking: Ranking
    device: str

    @cached_property
    def top1(self) -> np.ndarray:
        """(Q,) the item whose loss of the first place is meant."""
        return self.ranking.top_ids[:, 0].astype(np.int64)

    @cached_property
    def table(self) -> np.ndarray | None:
        """(N, N) float32 products of the gallery with itself; None where looking up single pairs costs less."""
        size = self.gallery.n_items
        if size > self.queries.n_items or 4 * size**2 > MAX_ARRAY_BYTES:
            return None
        total = torch.zeros(size, size, device=self.device)
        for s in range(self.gallery.n_samples):
            units = unit(self.gallery, s, slice(0, size), self.device)
            total.addmm_(units, units.mT)
        return (total / self.gallery.n_samples).cpu().numpy()

    def bound(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """At least the distance between gallery items, elementwise."""
        if self.table is not None:
            return np.sqrt(np.maximum(2.0 - 2.0 * self.table[first, second].astype(np.float64), 0.0) + 2.0 * SLACK)
        return _chord(self._angles[first] + self._angles[second])

    def farthest(self, first: np.ndarray) -> np.ndarray:
        """At least the distance from gallery items to any item, elementwise."""
        if self.table is not None:
            return np.sqrt(2.0 - 2.0 * self._least[first] + 2.0 * SLACK)
        return _chord(self._angles[first] + self._angles.max())

    @cached_property
    def _least(self) -> np.ndarray:
        assert self.table is not None
        return self.table.min(axis=1).astype(np.float64)

    @cached_property
    def _angles(self) -> np.ndarray:
        """(N,) at least the angle of an item to one direction.

        Angles on a sphere obey the triangle inequality, so any direction gives a valid bound; about the mean it is
        tight, because CLIP's embeddings of a modality lie in a narrow cone.
        """
        size = self.gallery.n_items
        spread = np.unique(np.linspace(0, size - 1, min(size, 1024)).astype(np.int64))
        axis = [units_of(self.gallery, s, spread, self.device).mean(dim=0) for s in range(self.gallery.n_samples)]
        length = torch.sqrt(sum((part @ part for part in axis), torch.zeros((), device=self.device)) / len(axis))
        cosines = np.zeros(size)
        if length > SLACK:
            for start, product in self.scan([(part / length)[None] for part in axis]):
                cosines[start : start + product.shape[1]] = product[0].cpu().numpy()
        else:  # no direction is nearer to the items than another
            cosines[:] = -1.0
        return np.arccos(np.clip(cosines - SLACK, -1.0, 1.0))

    def scan(self, vectors: Sequence[torch.Tensor]) -> Iterator[tuple[int, torch.Tensor]]:
        """Products of vectors with the whole gallery, a block of items after the other.

        Args:
            vectors: the part of B vectors that belongs to each sample, S times (B, D) float32.

        Yields:
            The number of the block's first item, and the products (B, items of the block) float32.
        """
        count, samples = len(vectors[0]), len(vectors)
        for part in blocks(self.gallery.n_items, 4 * max(count, max(self.gallery.dims)), MAX_ARRAY_BYTES // 4):
            total = torch.zeros(count, part.stop - part.start, device=self.device)
            for s, vector in enumerate(vectors):
                total.addmm_(vector, unit(self.gallery, s, part, self.device).mT)
            yield part.start, total / samples

    def pairs(
        self, rows: np.ndarray, items: np.ndarray, margin: np.ndarray, vague: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each query's v = g_1 - g_j for one item j: q.v and |v|^2, in float64 where float32 would say too little.

        Args:
            rows: (P,) queries.
            items: (P,) gallery items.
            margin: (P,) q.v to float32 precision.
            vague: (P,) bool, where that is not good enough; small values never are.

        Returns:
            Both (P,) float64; q.v is 0 or more, and 0 where |v| says that the items are the same.
        """
        squared = self._squares(self.top1[rows], items)
        close = (margin <= NARROW) | (squared <= CLOSE) | (False if vague is None else vague)
        if close.any():
            margin = margin.copy()
            margin[close], squared[close] = self.differences(rows[close], items[close])
        return margin, squared

    def differences(self, rows: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`pairs` of queries and items, both (P,), with all products in float64."""
        margin, squared = torch.zeros(2, len(rows), dtype=torch.float64, device=self.device)
        for part in blocks(len(rows), 24 * max(self.gallery.dims), MAX_ARRAY_BYTES):
            for s in range(self.gallery.n_samples):
                asked = UnitRows(self.queries, s, rows[part], self.device, torch.float64)
                ends = np.stack([self.top1[rows[part]], items[part]])
                gallery = UnitRows(self.gallery, s, ends, self.device, torch.float64)
                for few in blocks(part.stop - part.start, 16 * self.gallery.dims[s], CACHE_BYTES):
                    one, other = gallery.at((slice(None), few))
                    v = one - other
                    here = slice(part.start + few.start, part.start + few.stop)
                    margin[here] += (asked.at(few) * v).sum(dim=1)
                    squared[here] += (v * v).sum(dim=1)
        margin, squared = ((values / self.gallery.n_samples).cpu().numpy() for values in (margin, squared))
        return np.where(squared > SAME**2, np.maximum(margin, 0.0), 0.0), squared

    def _squares(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Squared distances of gallery items, both (P,), to float32 precision."""
        if self.table is not None:
            return 2.0 - 2.0 * self.table[first, second].astype(np.float64)
        squared = torch.zeros(len(first), device=self.device)
        for part in blocks(len(first), 8 * max(self.gallery.dims), MAX_ARRAY_BYTES):
            for s in range(self.gallery.n_samples):
                gallery = UnitRows(self.gallery, s, np.stack([first[part], second[part]]), self.device)
                for few in blocks(part.stop - part.start, 8 * self.gallery.dims[s], CACHE_BYTES):
                    one, other = gallery.at((slice(None), few))
                    squared[part][few] += torch.linalg.vecdot(one.sub_(other), one)
        return (squared / self.gallery.n_samples).cpu().numpy().astype(np.float64)

    def grams(self, rows: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each query's v_j = g_1 - g_j for K items: q.v_j, and all v_i.v_j.

        Args:
            rows: (B,) queries.
            items: (B, K) gallery items.

        Returns:
            (B, K) and (B, K, K), float32.
        """
        count, width = items.shape
        margin = torch.zeros(count, width, device=self.device)
        gram = torch.zeros(count, width, width, device=self.device)
        for s in range(self.gallery.n_samples):
            asked = UnitRows(self.queries, s, rows, self.device)
            top = UnitRows(self.gallery, s, self.top1[rows], self.device)
            others = UnitRows(self.gallery, s, items, self.device)
            for few in blocks(count, 4 * width * self.gallery.dims[s], CACHE_BYTES):
                v = top.at(few)[:, None] - others.at(few)
                margin[few] += (v @ asked.at(few)[:, :, None])[..., 0]
                gram[few] += v @ v.mT
        return (margin / self.gallery.n_samples).cpu().numpy(), (gram / self.gallery.n_samples).cpu().numpy()


def _chord(angle: np.ndarray) -> np.ndarray:
    """Distance of two points of the unit sphere."""
    return 2.0 * np.sin(np.minimum(angle, np.pi) / 2.0)
