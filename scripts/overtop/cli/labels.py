"""Tables that name gallery items: which of them are right for which queries, and which belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overtop.cli.tables import read_text_columns
from overtop.errors import OvertopError

NOT_LABELLED = "?"
"""`relevant` of a query that was chosen to be labelled, and is not labelled yet."""


@dataclass(frozen=True)
class LabelTable:
    """Relevant items by query, as the user named them.

    Attributes:
        path: the table, for messages.
        relevant: the relevant items of each labelled query; empty if it is known that no item matches.
    """

    path: Path
    relevant: dict[str, list[str]]

    def find_queries(self, ids: Sequence[str], source: str) -> np.ndarray:
        """Return the row of each labelled query, in the order of `relevant`.

        Args:
            ids: Q names of the queries.
            source: where they come from, for messages.

        Raises:
            OvertopError: a query is not there, or is there twice.
        """
        place, names = f"{self.path}: column query", list(self.relevant)
        found = find_rows(names, ids, place, source)
        if repeated := [name for name, rows in zip(names, found, strict=True) if len(rows) > 1]:
            raise OvertopError(f"{place}: {repeated[0]!r} is the id of several rows of {source}; make the ids unique")
        rows = np.array([row for (row,) in found], dtype=np.int64)
        _, first, count = np.unique(rows, return_index=True, return_counts=True)
        if (count > 1).any():
            query = names[int(first[count > 1][0])]
            raise OvertopError(f"{self.path}: query {query!r} is written in two ways; use one of them")
        return rows

    def find_items(self, ids: Sequence[str], source: str) -> list[list[int]]:
        """Return the rows of the relevant items of each labelled query, in the order of `relevant`.

        All items with the name of a label are relevant.

        Args:
            ids: N names of the gallery items.
            source: where they come from, for messages.

        Raises:
            OvertopError: an item is not there.
        """
        named = [item for items in self.relevant.values() for item in items]
        found = iter(find_rows(named, ids, f"{self.path}: column relevant", source))
        return [[row for _ in items for row in next(found)] for items in self.relevant.values()]


def read_labels(path: Path) -> LabelTable:
    """Read a table with the columns `query` and `relevant`, one row per query and relevant item.

    An empty `relevant` means that no item of the gallery matches, and `?` that the query is not labelled yet. Other
    columns are ignored.

    Raises:
        OvertopError: it is no such table, nothing is labelled, or a query has both an empty and another `relevant`.
    """
    table = read_text_columns(path, ["query", "relevant"])
    if (table["query"] == "").any():
        row = int(np.flatnonzero(table["query"] == "")[0])
        raise OvertopError(f"{path}: row {row + 1} has no query; fill in the column query or remove the row")
    table = table[table["relevant"] != NOT_LABELLED]
    if table.empty:
        raise OvertopError(f"{path}: no query is labelled; replace {NOT_LABELLED} by the id or row of a relevant item")
    relevant: dict[str, list[str]] = {}
    for query, items in table.groupby("query", sort=False)["relevant"]:
        named = list(dict.fromkeys(item for item in items if item))
        if named and (items == "").any():
            raise OvertopError(
                f"{path}: query {query!r} has both an empty `relevant` (nothing matches) and {named[0]!r}; keep one"
            )
        relevant[str(query)] = named
    return LabelTable(path, relevant)


def read_groups(path: Path, ids: Sequence[str], source: str) -> list[str]:
    """Read a table with the columns `item` and `group`; an item without a row is a group of its own.

    Args:
        path: the table.
        ids: N names of the gallery items.
        source: where they come from, for messages.

    Returns:
        The group of each of the N items.

    Raises:
        OvertopError: it is no such table, an item is not there, or an item has two groups.
    """
    table = read_text_columns(path, ["item", "group"])
    names, groups = table["item"].tolist(), table["group"].tolist()
    group_of_row: dict[int, str] = {}
    for name, group, rows in zip(names, groups, find_rows(names, ids, f"{path}: column item", source), strict=True):
        for row in rows:
            if group_of_row.setdefault(row, group) != group:
                raise OvertopError(f"{path}: item {name!r} is in groups {group_of_row[row]!r} and {group!r}; keep one")
    return [f"group {group_of_row[row]}" if row in group_of_row else f"item {row}" for row in range(len(ids))]


def find_rows(names: Sequence[str], ids: Sequence[str], place: str, source: str) -> list[list[int]]:
    """Return the rows of each name: the names are ids, or else row numbers, but never a mixture of both.

    Args:
        names: ids, of which each may belong to several rows, or row numbers as text.
        ids: the id of each row.
        place: where the names come from, for messages.
        source: where the ids come from, for messages.

    Raises:
        OvertopError: a name is neither an id nor the number of a row.

    Example:
        >>> find_rows(["dog", "cat"], ["cat", "dog", "dog"], "labels.csv", "gallery.npy")
        [[1, 2], [0]]
        >>> find_rows(["2", "0"], ["cat", "dog", "dog"], "labels.csv", "gallery.npy")
        [[2], [0]]
    """
    rows_of_id: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        rows_of_id.setdefault(name, []).append(row)
    as_rows = [int(name) if name.isascii() and name.isdigit() and len(name) < 20 else -1 for name in names]
    if not any(name in rows_of_id for name in names) and all(0 <= row < len(ids) for row in as_rows):
        return [[row] for row in as_rows]
    unknown = list(dict.fromkeys(name for name in names if name not in rows_of_id))
    if unknown:
        raise OvertopError(
            f"{place}: {unknown[0]!r} is not in {source} ({len(unknown):,} of {len(set(names)):,} values are not); "
            f"use its ids, such as {ids[0]!r}, or its row numbers 0 to {len(ids) - 1}"
        )
    return [rows_of_id[name] for name in names]
