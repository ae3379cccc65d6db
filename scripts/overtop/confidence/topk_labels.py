"""Labels and groups of the items that a search engine returned, by their ids."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from overtop.confidence.labelling import UNKNOWN, check_labels, is_collection, is_unknown
from overtop.confidence.topk_lists import TopkLists
from overtop.errors import OvertopError

Groups = Mapping[Any, Any] | Sequence[Any] | np.ndarray
"""Group of each item by id, or an array indexed by id."""


def parse_labels(relevant: Any, lists: TopkLists) -> list[list[Any] | None]:
    """Return the ids that are relevant to each query, or None if they are unknown.

    Args:
        relevant: for each query an id, or several; `UNKNOWN`, None or NaN if it was not labelled; empty if nothing in
            the gallery matches.
        lists: the items of the same queries.

    Raises:
        OvertopError: there are not as many labels as queries, all are unknown, or ids are of another kind than those of
            the lists.
    """
    if not isinstance(relevant, Iterable) or isinstance(relevant, str):
        raise OvertopError("relevant: give one id, or a list of ids, for each query")
    labels = [None if is_unknown(label) else [*label] if is_collection(label) else [label] for label in relevant]
    check_labels(labels, len(lists.codes), "relevant")
    is_text = isinstance(lists.vocabulary[0], str)
    for query, label in zip(lists.query_ids, labels, strict=True):
        for item in label or []:
            if is_unknown(item):
                raise OvertopError(
                    f"relevant: query {query!r} has {item!r} in a list; use {UNKNOWN} or None alone for an unlabelled "
                    "query, and [] for one without a match"
                )
            if isinstance(item, str) != is_text:
                kinds = ("integers", "a string") if isinstance(item, str) else ("strings", "a number")
                raise OvertopError(
                    f"relevant: query {query!r} has {item!r}, which is {kinds[1]}, but the ids of the engine are "
                    f"{kinds[0]}; use the same ids"
                )
    return labels


def find_hits(lists: TopkLists, labels: Sequence[Sequence[Any]], groups: Groups | None) -> np.ndarray:
    """Return whether the top-1 of each query is relevant or belongs to the group of a relevant item, (Q,) bool."""
    group_of = _group_lookup(groups)
    pairs = zip(lists.top1, labels, strict=True)
    return np.array([group_of(top1) in {group_of(item) for item in label} for top1, label in pairs], dtype=bool)


def group_codes(lists: TopkLists, groups: Groups | None) -> np.ndarray | None:
    """Return the number of the group of each item of the lists, (Q, K); None if there are no groups."""
    if groups is None:
        return None
    group_of, numbers = _group_lookup(groups), dict[Any, int]()
    of_vocabulary = [numbers.setdefault(group_of(item), len(numbers)) for item in lists.vocabulary]
    return np.where(lists.codes >= 0, np.array(of_vocabulary)[lists.codes], -1)


def _group_lookup(groups: Groups | None) -> Callable[[Any], Any]:
    """Return the function from an id to its group; an item without a group is one by itself."""
    if groups is None:
        return lambda item: item
    if isinstance(groups, Mapping):
        return lambda item: ("group", groups[item]) if item in groups else ("item", item)

    def group_of(item: Any) -> Any:
        if isinstance(item, str) or not 0 <= item < len(groups):
            raise OvertopError(f"groups: has {len(groups)} entries and none for item {item!r}; give a dict of ids")
        return groups[int(item)]

    return group_of
