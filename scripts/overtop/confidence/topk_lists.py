"""The best items of each query as a search engine returned them: ids and scores, validated and as similarities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, get_args

import numpy as np
import pandas as pd

from overtop.confidence.labelling import is_collection
from overtop.errors import OvertopError, did_you_mean
from overtop.terms import Metric

METRICS: tuple[Metric, ...] = get_args(Metric)
"""What the scores of an engine can be.

`cosine`: the similarity itself, as a FAISS index of inner products gives it for vectors of length 1. `l2`: squared
distances of vectors of length 1, as FAISS's METRIC_L2 gives them; the similarity is 1 - d / 2. `elasticsearch`: the
score of kNN search with the similarity `cosine` or `dot_product`, (1 + similarity) / 2, which OpenSearch has as well.
`inner_product`: of vectors of any length, taken as they are.
"""

SCORE_RANGES: dict[Metric, tuple[float, float]] = {"cosine": (-1, 1), "l2": (0, 4), "elasticsearch": (0, 1)}
"""Smallest and largest score of vectors of length 1."""

ADVICE: dict[Metric, str] = {
    "cosine": "normalise the vectors before they are indexed and searched, or use metric='inner_product' and give the "
    "temperature of the model",
    "l2": "give squared distances of vectors of length 1, as METRIC_L2 of FAISS does",
    "elasticsearch": "use the similarity 'cosine' or 'dot_product' in the mapping of the index",
}
"""Fix for scores outside of their range."""

ROUNDING = 1e-3
"""Tolerance of ranges: of half-precision and quantised vectors."""

ORDER_TOLERANCE = 1e-5
"""By how much an item may be more similar than the one before it."""

FEWEST_ITEMS = 2
"""Of a list, since the best item alone says nothing about its rivals."""

MISSING_ID = -1
"""Id that FAISS returns for an item that it did not find; None and NaN mean the same."""


@dataclass(frozen=True)
class TopkLists:
    """The best items of Q queries, at most K each.

    Attributes:
        codes: (Q, K) int64, number of each item in `vocabulary`; -1 where a list has ended.
        similarity: (Q, K) float64, falling in each row; minus infinity where a list has ended.
        lengths: (Q,) number of items of each list.
        vocabulary: the distinct ids.
        query_ids: Q names.
    """

    codes: np.ndarray
    similarity: np.ndarray
    lengths: np.ndarray
    vocabulary: list[Any]
    query_ids: list[Any]

    def cut(self, top: int, n_gallery: int | None) -> "TopkLists":
        """Return the first `top` items of each list.

        Args:
            top: number of items; a list may be shorter if it holds the whole gallery.
            n_gallery: number of items of the gallery; None if unknown.

        Raises:
            OvertopError: a list is shorter, or `top` is too small to compare the top-1 with anything.
        """
        if top < FEWEST_ITEMS and n_gallery != 1:
            row = int(self.lengths.argmin())
            raise OvertopError(
                f"ids: query {self.query_ids[row]!r} has {self.lengths[row]} items, so that the judge would use {top}; "
                f"it needs at least {FEWEST_ITEMS}, and better 10 to 50: ask the engine for more, leave such queries "
                "out, or give `top`"
            )
        short = np.flatnonzero((self.lengths < top) & (self.lengths != n_gallery))
        if short.size:
            _fail(
                "ids", self, short, f"has {self.lengths[short[0]]} items, but the judge needs {top}",
                "ask the engine for more, leave such queries out, or fit a judge with a smaller `top`",
            )  # fmt: skip
        lengths = np.minimum(self.lengths, top)
        return TopkLists(self.codes[:, :top], self.similarity[:, :top], lengths, self.vocabulary, self.query_ids)

    def select(self, rows: Sequence[int]) -> "TopkLists":
        """Return the lists of some queries."""
        names = [self.query_ids[row] for row in rows]
        return TopkLists(self.codes[rows], self.similarity[rows], self.lengths[rows], self.vocabulary, names)

    def shortest(self, n_gallery: int | None) -> int:
        """Return the length of the shortest list that does not hold the whole gallery, or of all if none does."""
        incomplete = self.lengths[self.lengths != n_gallery]
        return int((incomplete if incomplete.size else self.lengths).min())

    @property
    def width(self) -> int:
        """K."""
        return self.codes.shape[1]

    @property
    def top1(self) -> list[Any]:
        """The id of the best item of each query."""
        return [self.vocabulary[code] for code in self.codes[:, 0].tolist()]


def read_lists(ids: Any, scores: Any, metric: Metric = "cosine", query_ids: Sequence[Any] | None = None) -> TopkLists:
    """Return the lists of a search engine as similarities.

    Args:
        ids: for each query the ids of its best items, best first: an array (Q, K), or lists of any length; integers or
            strings. For one query, one list. `MISSING_ID`, None or NaN end a list.
        scores: their scores, of the same shape.
        metric: what the scores are.
        query_ids: Q names, for messages and answers; by default row numbers.

    Raises:
        OvertopError: with the query, the problem and the fix.
    """
    if metric not in METRICS:
        raise OvertopError(f"metric: unknown {metric!r}; {did_you_mean(str(metric), METRICS)}")
    id_array, score_array = _as_matrix(ids, scores)
    names = list(range(len(id_array))) if query_ids is None else list(query_ids)
    if len(names) != len(id_array):
        raise OvertopError(f"query_ids: has {len(names)} names for {len(id_array)} queries; give one per query")
    codes, vocabulary = _encode(id_array)
    lists = TopkLists(codes, score_array, (codes >= 0).sum(axis=1), vocabulary, names)
    _check_ids(lists)
    similarity = np.where(codes >= 0, _similarity(lists, metric), -np.inf)
    return TopkLists(codes, similarity, lists.lengths, vocabulary, names)


def check_gallery_size(n_gallery: int | None) -> int | None:
    """Return the number of items that are searched, None if unknown.

    Raises:
        OvertopError: it is no positive integer.
    """
    if n_gallery is not None and (n_gallery != int(n_gallery) or n_gallery < 1):
        raise OvertopError(f"n_gallery: is {n_gallery}; give the number of items that are searched, or leave it out")
    return None if n_gallery is None else int(n_gallery)


def _as_matrix(ids: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and scores as (Q, K) arrays, padded where lists end early."""
    if isinstance(ids, np.ndarray) and isinstance(scores, np.ndarray) and ids.ndim == scores.ndim == 2:
        if ids.shape != scores.shape:
            raise OvertopError(f"scores: have shape {scores.shape}, and ids {ids.shape}; give one score per id")
        return ids, scores.astype(np.float64)
    id_lists, score_lists = list(ids), list(scores)
    if id_lists and not is_collection(id_lists[0]):
        id_lists, score_lists = [id_lists], [score_lists]
    if len(id_lists) != len(score_lists):
        raise OvertopError(f"scores: has {len(score_lists)} lists, and ids {len(id_lists)}; give one per query")
    width = max((len(row) for row in id_lists), default=0)
    id_array = np.full((len(id_lists), width), None, dtype=object)
    score_array = np.full((len(id_lists), width), np.nan)
    for number, (row, of_row) in enumerate(zip(id_lists, score_lists, strict=True)):
        if len(row) != len(of_row):
            raise OvertopError(
                f"scores: query number {number} has {len(of_row)} scores and {len(row)} ids; give one score per id"
            )
        id_array[number, : len(row)] = list(row)
        score_array[number, : len(row)] = of_row
    return id_array, score_array


def _encode(ids: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Return the number of each id in a vocabulary, -1 for a missing one, and the vocabulary."""
    codes, distinct = pd.factorize(ids.ravel())
    codes, vocabulary = codes.astype(np.int64), list(distinct)
    kinds = {isinstance(item, str) for item in vocabulary}
    if len(kinds) > 1:
        raise OvertopError("ids: some are strings and some are numbers; use one kind")
    if kinds == {False}:
        vocabulary = [_as_integer(item) for item in vocabulary]
        is_missing = np.array([item == MISSING_ID for item in vocabulary])
        codes = np.where((codes >= 0) & ~is_missing[codes], codes, -1)
    return codes.reshape(ids.shape), vocabulary


def _as_integer(item: Any) -> int:
    if isinstance(item, bool | np.bool_) or not isinstance(item, int | float | np.integer | np.floating) or item % 1:
        raise OvertopError(f"ids: {item} is neither an integer nor a string; give ids of gallery items")
    return int(item)


def _check_ids(lists: TopkLists) -> None:
    """Check that each list has items, ends once, and holds no item twice."""
    codes = lists.codes
    if not codes.size:
        raise OvertopError("ids: there are no queries or no items; give a list of ids for each query")
    if (empty := np.flatnonzero(lists.lengths == 0)).size:
        _fail("ids", lists, empty, "has no items", "leave such queries out")
    is_late = np.arange(codes.shape[1]) >= lists.lengths[:, None]
    if (gaps := np.flatnonzero(((codes >= 0) & is_late).any(axis=1))).size:
        _fail("ids", lists, gaps, "has items after a missing one", "put missing items last")
    ascending = np.sort(codes, axis=1)
    is_repeated = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)
    if (repeated := np.flatnonzero(is_repeated.any(axis=1))).size:
        row = repeated[0]
        item = lists.vocabulary[ascending[row, 1:][is_repeated[row]][0]]
        _fail("ids", lists, repeated, f"has item {item!r} twice", "keep the better one of them")


def _similarity(lists: TopkLists, metric: Metric) -> np.ndarray:
    """Return the similarities (Q, K) of checked scores."""
    scores, is_found = lists.similarity, lists.codes >= 0
    if (invalid := np.flatnonzero((~np.isfinite(scores) & is_found).any(axis=1))).size:
        _fail("scores", lists, invalid, "has a score that is NaN or infinite", "check its embedding")
    rising = -np.diff(scores, axis=1) if metric == "l2" else np.diff(scores, axis=1)
    tolerance = ORDER_TOLERANCE * (np.abs(scores[:, :1]) + 1 if metric == "inner_product" else 1)
    if (unsorted := np.flatnonzero(((rising > tolerance) & is_found[:, 1:]).any(axis=1))).size:
        advice = "sort each list, or use metric='l2' if the scores are distances" if metric == "cosine" else "sort it"
        _fail("scores", lists, unsorted, "is not sorted, best first", advice)
    if metric in SCORE_RANGES:
        low, high = SCORE_RANGES[metric]
        is_outside = is_found & ((scores < low - ROUNDING) | (scores > high + ROUNDING))
        if (outside := np.flatnonzero(is_outside.any(axis=1))).size:
            row = outside[0]
            value = scores[row][is_outside[row]][0]
            problem = f"has score {value:.6g}, outside of {low} to {high} for metric {metric!r}"
            _fail("scores", lists, outside, problem, ADVICE[metric])
    if metric == "l2":
        return 1.0 - scores / 2.0
    return 2.0 * scores - 1.0 if metric == "elasticsearch" else scores


def _fail(argument: str, lists: TopkLists, rows: np.ndarray, problem: str, fix: str) -> NoReturn:
    """Raise the error of the first of some queries."""
    others = f" ({len(rows):,} such queries)" if len(rows) > 1 else ""
    raise OvertopError(f"{argument}: query {lists.query_ids[rows[0]]!r} {problem}{others}; {fix}")
