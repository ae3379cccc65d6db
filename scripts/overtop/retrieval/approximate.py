"""Rankings by a search index, for galleries that are too large to multiply with every query.

The index holds the unit embeddings of an item in all samples, concatenated and divided by sqrt(S): its inner product is
the mean similarity. `flat` compares with every item; `hnsw` (Malkov & Yashunin, 2018) searches a graph of neighbours
over half-precision vectors, far faster, and may miss items. The scores of the items it returns are exact. An
approximate index may miss rivals, so certify radii only among the items it found (`compute_radii(...,
scan_gallery=False)`).

Softmax sums are sums over the items found, with a bound on what the other items can add (`retrieval.truncated`). The
bound is that of a search that misses none of the best items; `flat` does not.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch  # noqa: F401  loaded before FAISS, so that both share one pool of threads

# isort: split
import faiss
import numpy as np

from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.retrieval.accumulator import RERANKED_TOP
from overtop.retrieval.duplicates import find_first_duplicates
from overtop.retrieval.exact import sort_temperatures
from overtop.retrieval.groups import merge_duplicates
from overtop.retrieval.normalisation import Normalisation, NormalisedRanking
from overtop.retrieval.other_groups import MISSING
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.reranking import rerank
from overtop.retrieval.rivals import rivals_among
from overtop.retrieval.sources import check_sources, queries_and_gallery
from overtop.retrieval.truncated import truncated_normalised, truncated_softmax
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRECTIONS, VOTE_TOP, Direction

Index = Literal["flat", "hnsw"]

HNSW_LINKS = 32
"""Neighbours of an item in the graph."""

HNSW_BUILD_CANDIDATES = 40
"""Candidate neighbours while the graph is built."""

HNSW_SEARCH_CANDIDATES = 2048
"""Least number of candidates while the graph is searched. Captions are far from images in CLIP's space, so a search
with few candidates misses more than it would among images."""

SPARE_ITEMS = 16
"""Items requested in excess of the result, because the index may order items differently from float32 scores."""


def search(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = VOTE_TOP,
    index: Index = "flat",
    temperatures: Iterable[float] = (),
    *,
    groups: Mapping[Direction, np.ndarray] | None = None,
    normalisations: Mapping[Direction, Normalisation] | None = None,
    directions: Collection[Direction] = DIRECTIONS,
    device: str | None = None,
) -> dict[Direction, Ranking]:
    """Rank like `rank`, by a search index, with softmax sums over the items it returns: `top` plus `SPARE_ITEMS`.

    A query whose items are all of one group, or of fewer groups than a ranking has rivals, has the last of its items as
    its further rivals: no item outside the ranking is more similar.

    Memory: the index of one gallery (4 bytes per dimension of an item with `flat`; 2 with `hnsw`, and 4 x 2 x 32 bytes
    per item for its graph) and blocks of queries.

    Args:
        images: N items, S samples.
        texts: M items, S samples.
        top: K, number of best items by mean similarity (at most the size of the gallery).
        vote_top: k, number of best items in each sample.
        index: `flat` or `hnsw`.
        temperatures: temperatures of the softmax over the items.
        groups: by direction, the declared group (N,) of each gallery item; by default only duplicates belong together.
        normalisations: by direction, offsets of the gallery items, for the results in `Ranking.normalised`.
        directions: the directions to rank.
        device: torch device that computes the scores of the items; the index itself is searched on the CPU.

    Raises:
        OvertopError: the sources differ in samples or dimensions, one is empty, an embedding is zero or not finite, a
            temperature is not positive, or the graph returned fewer items than requested.
    """
    check_sources(images, texts)
    device, temperatures = device or default_device(), sort_temperatures(temperatures)
    rankings: dict[Direction, Ranking] = {}
    for direction in directions:
        queries, gallery = queries_and_gallery(direction, images, texts)
        samples = range(gallery.n_samples)
        ids, scores = _search_items(queries, gallery, samples, top, index, device)
        votes = [ids]  # the only sample is the mean
        if len(samples) > 1:
            votes = [_search_items(queries, gallery, [s], vote_top, index, device)[0] for s in samples]
        of_items = merge_duplicates((groups or {}).get(direction), find_first_duplicates(gallery))
        rival_ids, rival_scores = rivals_among(ids, scores, of_items)
        is_missing = rival_ids == MISSING
        rankings[direction] = Ranking(
            query_ids=queries.item_ids,
            gallery_ids=gallery.item_ids,
            top_ids=ids[:, :top],
            top_scores=scores[:, :top],
            sample_top=np.stack([vote[:, :vote_top] for vote in votes], axis=1),
            groups=of_items,
            rival_ids=np.where(is_missing, ids[:, -1:], rival_ids),
            rival_scores=np.where(is_missing, scores[:, -1:], rival_scores),
            temperatures=temperatures,
            normalised=_rank_normalised(ids, scores, of_items, (normalisations or {}).get(direction)),
            **_softmax_sums(ids, scores, of_items, temperatures),
        )
    return rankings


def _softmax_sums(
    ids: np.ndarray, scores: np.ndarray, of_items: np.ndarray, temperatures: tuple[float, ...]
) -> dict[str, np.ndarray]:
    """Return the arrays of `Ranking` that depend on the temperature, over the items found, by name.

    Args:
        ids: (Q, K) items found, best first.
        scores: (Q, K) their similarities.
        of_items: (N,) group of each item of the gallery.
        temperatures: T temperatures.
    """
    groups = _groups_of(ids, of_items)
    sums = [truncated_softmax(scores, len(of_items), temperature, groups) for temperature in temperatures]
    columns = {
        "log_partition": [softmax.log_partition for softmax in sums],
        "mean_gap": [softmax.mean_gap for softmax in sums],
        "group_log_partition": [softmax.neg_log_probability for softmax in sums],
        "group_entropy": [softmax.entropy for softmax in sums],
        "truncation_bound": [softmax.bound for softmax in sums],
    }
    return {name: np.array(values).reshape(len(sums), len(ids)).T for name, values in columns.items()}


def _rank_normalised(
    ids: np.ndarray, scores: np.ndarray, of_items: np.ndarray, normalisation: Normalisation | None
) -> dict[str, NormalisedRanking]:
    """Return the results with normalised similarities over the items found; arguments as in `_softmax_sums`."""
    if normalisation is None:
        return {}
    groups, results = _groups_of(ids, of_items), {}
    for name, offsets in normalisation.offsets.items():
        neg_log_probability, bound = truncated_normalised(ids, scores, offsets, normalisation.temperature, groups)
        order = np.lexsort((ids, offsets[ids] - scores))[:, :RERANKED_TOP]
        results[name] = NormalisedRanking(neg_log_probability, np.take_along_axis(ids, order, axis=1), bound)
    return results


def _groups_of(ids: np.ndarray, of_items: np.ndarray) -> np.ndarray | None:
    """Return the groups of some items, (Q, K); None if every item of the gallery is a group of its own."""
    return None if np.array_equal(of_items, np.arange(len(of_items))) else of_items[ids]


def _search_items(
    queries: EmbeddingSource, gallery: EmbeddingSource, samples: Sequence[int], top: int, kind: Index, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best items of each query by the mean over some samples, best first, and their scores.

    Returns:
        Both (Q, K), where K is `top` plus `SPARE_ITEMS`, at most N.
    """
    count = min(top + SPARE_ITEMS, gallery.n_items)
    index = _build_index(gallery, samples, kind, max(HNSW_SEARCH_CANDIDATES, 2 * count))
    parts = blocks(queries.n_items, 4 * max(index.d, 3 * count), MAX_ARRAY_BYTES)
    items = np.concatenate([index.search(_index_vectors(queries, samples, part), count)[1] for part in parts])
    if (items < 0).any():
        incomplete = queries.item_ids[int(np.argmin(items.min(axis=1)))]
        raise OvertopError(
            f"the graph returned fewer than {count} of {gallery.n_items} items for query {incomplete!r}; "
            "search a gallery of this size with index 'flat'"
        )
    return rerank(queries, gallery, items, device, samples)


def _build_index(gallery: EmbeddingSource, samples: Sequence[int], kind: Index, search_candidates: int) -> Any:
    """Return a FAISS index of the gallery."""
    dim = sum(gallery.dims[s] for s in samples)
    index: Any
    half_precision: Any = faiss.ScalarQuantizer.QT_fp16
    if kind == "flat":
        index = faiss.IndexFlatIP(dim)
    else:
        index = faiss.IndexHNSWSQ(dim, half_precision, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = HNSW_BUILD_CANDIDATES, search_candidates
        index.is_trained = True  # half precision needs no training
    for part in blocks(gallery.n_items, 4 * dim, MAX_ARRAY_BYTES // 4):
        index.add(_index_vectors(gallery, samples, part))
    return index


def _index_vectors(source: EmbeddingSource, samples: Sequence[int], part: slice) -> np.ndarray:
    """Return the vectors of some items in the index, (n, sum of the dimensions of the samples) float32."""
    units = [read_unit_vectors(source, s, part, "cpu").numpy() for s in samples]
    return np.concatenate(units, axis=1) / np.sqrt(np.float32(len(units)))
