"""Rankings by a search index, for galleries that are too large to multiply with every time they are asked.

The index holds an item's samples as unit embeddings, concatenated and divided by sqrt(S): its inner product is the mean
similarity. `flat` looks at everything and misses nothing; `hnsw` (Malkov & Yashunin, 2018) walks a graph of neighbours
over half-precision vectors, far faster, and may miss items. What it misses nobody knows: the scores of what it finds
are exact, and a radius over such a ranking is to be judged by the items found (`radii(..., beyond=False)`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

import faiss
import numpy as np

from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.vectors import rescore, units_of
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRECTIONS, Direction

Index = Literal["flat", "hnsw"]
LINKS = 32
"""Neighbours of an item in the graph."""
BUILD_BREADTH = 40
"""Candidates for neighbours while the graph is built."""
SEARCH_BREADTH = 2048
"""Candidates while it is searched. Captions lie apart from images: a narrow search misses more than among images."""
SPARE = 16
"""More items asked for than wanted, for those that the index orders otherwise than float32 scores do."""


def search(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = 5,
    index: Index = "flat",
    directions: Collection[Direction] = DIRECTIONS,
    device: str | None = None,
) -> dict[Direction, Ranking]:
    """What `rank` returns, found by an index; without the sums over the whole gallery, which no search knows.

    Memory: the index of one gallery (4 bytes a dimension of an item in `flat`, 2 in `hnsw`, and 4 x 2 x 32 bytes an
    item for its graph) and blocks.

    Args:
        images: N items, S samples.
        texts: M items, S samples.
        top: K, how many items of the mean similarity to keep (all, if the gallery is smaller).
        vote_top: k, how many items of each sample's similarity to keep.
        index: `flat` or `hnsw`.
        directions: which ones to search.
        device: a torch device for the scores of the items found; the index is searched on the CPU.

    Raises:
        OvertopError: the sources differ in samples or dimensions, an embedding is zero or not finite, or the graph led
            to fewer items than wanted.
    """
    if images.dims != texts.dims:
        raise OvertopError(
            f"images have samples of dimensions {images.dims}, texts {texts.dims}; "
            "both must come from the same encoders and the same number of passes"
        )
    device = device or default_device()
    rankings: dict[Direction, Ranking] = {}
    for direction in directions:
        queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
        every = range(gallery.n_samples)
        ids, scores = _found(queries, gallery, every, top, index, device)
        # One sample's best items are the mean's where there is but one.
        votes = [_found(queries, gallery, [s], vote_top, index, device)[0] for s in every] if len(every) > 1 else [ids]
        kept = ids[:, :top], scores[:, :top], np.stack([vote[:, :vote_top] for vote in votes], axis=1)
        rankings[direction] = Ranking(queries.item_ids, gallery.item_ids, *kept)
    return rankings


def _found(
    queries: EmbeddingSource, gallery: EmbeddingSource, samples: Sequence[int], top: int, kind: Index, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Items found for each query, best first, and their scores; both (Q, K), more than `top` if there are more."""
    wanted = min(top + SPARE, gallery.n_items)
    index = _build(gallery, samples, kind, max(SEARCH_BREADTH, 2 * wanted))
    parts = blocks(queries.n_items, 4 * max(index.d, 3 * wanted), MAX_ARRAY_BYTES)
    found = np.concatenate([index.search(_joined(queries, samples, part), wanted)[1] for part in parts])
    if (found < 0).any():
        raise OvertopError(
            f"the graph led query {queries.item_ids[int(np.argmin(found.min(axis=1)))]!r} to fewer than {wanted} of "
            f"{gallery.n_items} items; search a gallery of that size with index 'flat'"
        )
    return rescore(queries, gallery, found, device, samples)


def _build(gallery: EmbeddingSource, samples: Sequence[int], kind: Index, breadth: int) -> Any:
    dim = sum(gallery.dims[s] for s in samples)
    index: Any
    half: Any = faiss.ScalarQuantizer.QT_fp16  # needs no training
    if kind == "flat":
        index = faiss.IndexFlatIP(dim)
    else:
        index = faiss.IndexHNSWSQ(dim, half, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_BREADTH, breadth
        index.is_trained = True
    for part in blocks(gallery.n_items, 4 * dim, MAX_ARRAY_BYTES // 4):
        index.add(_joined(gallery, samples, part))
    return index


def _joined(source: EmbeddingSource, samples: Sequence[int], part: slice) -> np.ndarray:
    """(n, D of the samples) float32 unit vectors."""
    rows = np.arange(part.start, part.stop)
    units = [units_of(source, s, rows, "cpu").numpy() for s in samples]
    return np.concatenate(units, axis=1) / np.sqrt(np.float32(len(units)))
