"""Which queries to label, and what a label means: the gallery items that are relevant to a query."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from overtop.errors import OvertopError, did_you_mean
from overtop.seeds import derive_seed

UNKNOWN = -1
"""Label of a query whose relevant items are unknown; None and NaN mean the same."""


def queries_to_label(queries: int | Sequence[Any], size: int = 100, seed: int = 0) -> Any:
    """Return which queries to label first: a random sample, in random order.

    Every prefix of the sample is a random sample itself, so labelling may stop at any time and be continued with a
    larger `size` and the same seed. Do not label the most uncertain queries instead: the guarantee of a precision needs
    labelled queries that are drawn like the new ones.

    Args:
        queries: the number of queries, or their ids in the order of the query log.
        size: how many to label; all of them if there are fewer.
        seed: of the draw.

    Returns:
        For a number of queries (size,) int row numbers, for ids a list of ids.

    Raises:
        OvertopError: there are no queries, or `size` is not positive.

    Example:
        >>> queries_to_label(1000, size=3).tolist()
        [397, 467, 769]
        >>> queries_to_label(1000, size=2).tolist()
        [397, 467]
    """
    n_queries = queries if isinstance(queries, int | np.integer) else len(queries)
    if n_queries < 1 or size < 1:
        raise OvertopError(f"cannot choose {size} of {n_queries} queries to label; both must be at least 1")
    rows = np.random.default_rng(derive_seed(seed, "label")).permutation(n_queries)[:size]
    return rows if isinstance(queries, int | np.integer) else [queries[row] for row in rows]


def parse_relevant(relevant: Iterable[Any], gallery_ids: Sequence[str]) -> list[np.ndarray | None]:
    """Return the gallery rows that are relevant to each query.

    Args:
        relevant: for each query a row of the gallery or a name of an item, or several of them; `UNKNOWN`, None or NaN
            if it was not labelled; empty if it is known that no gallery item matches.
        gallery_ids: names of the N gallery items.

    Returns:
        For each query rows (R,) int64, empty if nothing matches, or None if unknown.

    Raises:
        OvertopError: a row is out of range, a name is not in the gallery, or something is neither.

    Example:
        >>> parse_relevant([1, "cat", ["cat", "dog"], [], -1], ["cat", "dog"])
        [array([1]), array([0]), array([0, 1]), array([], dtype=int64), None]
    """
    rows_by_name: dict[str, list[int]] = {}
    for row, name in enumerate(gallery_ids):
        rows_by_name.setdefault(name, []).append(row)
    parsed: list[np.ndarray | None] = []
    for number, label in enumerate(relevant):
        if is_unknown(label):
            parsed.append(None)
            continue
        items = label if is_collection(label) else [label]
        rows = [row for item in items for row in _find_rows(item, number, rows_by_name, len(gallery_ids))]
        parsed.append(np.array(rows, dtype=np.int64))
    return parsed


def check_labels(labels: Sequence[Any], n_queries: int, optional: str) -> None:
    """Check that there is one label per query, and that some are known.

    Args:
        labels: of the queries; None if unknown.
        n_queries: Q.
        optional: the arguments to leave out if no query is labelled.

    Raises:
        OvertopError: there is another number of labels, or all are None.
    """
    if len(labels) != n_queries:
        raise OvertopError(f"relevant: has {len(labels)} entries for {n_queries} queries; give one per query")
    if all(label is None for label in labels):
        raise OvertopError(
            f"relevant: all {len(labels)} queries are unlabelled; label some of them (`overtop.queries_to_label`), or "
            f"leave {optional} out"
        )


def find_hits(top1: np.ndarray, relevant: Sequence[np.ndarray], groups: np.ndarray) -> np.ndarray:
    """Return whether the top-1 of each query is relevant or belongs to the group of a relevant item, (Q,) bool.

    Args:
        top1: (Q,) gallery rows.
        relevant: for each query gallery rows, from `parse_relevant`.
        groups: (N,) group of each gallery item; exact duplicates share a group.
    """
    pairs = zip(groups[top1], relevant, strict=True)
    return np.array([group in groups[rows] for group, rows in pairs], dtype=bool)


def is_collection(label: Any) -> bool:
    """Whether a label names several items, or none, rather than one."""
    return isinstance(label, list | tuple | set | frozenset) or (isinstance(label, np.ndarray) and label.ndim > 0)


def is_unknown(label: Any) -> bool:
    """Whether a label says that the relevant items of a query are unknown."""
    return not is_collection(label) and (bool(pd.isna(label)) or label == UNKNOWN)


def _find_rows(item: Any, number: int, rows_by_name: dict[str, list[int]], n_items: int) -> list[int]:
    """The rows of one relevant item of query number `number`: several if items share a name."""
    if isinstance(item, str):
        if item not in rows_by_name:
            raise OvertopError(
                f"relevant: query number {number} names {item!r}, which is not in the gallery; "
                + (did_you_mean(item, rows_by_name) if len(rows_by_name) <= 1000 else "correct it")
            )
        return rows_by_name[item]
    if not isinstance(item, int | float | np.integer | np.floating) or isinstance(item, bool) or item % 1 != 0:
        raise OvertopError(
            f"relevant: query number {number} has {item!r}; give rows of the gallery (integers) or names of its items"
        )
    if not 0 <= item < n_items:
        raise OvertopError(
            f"relevant: query number {number} has row {int(item)}, but the gallery has rows 0 to {n_items - 1}; "
            f"use {UNKNOWN} alone for an unlabelled query and [] for one without a match"
        )
    return [int(item)]
