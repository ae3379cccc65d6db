"""The table of labels: which gallery items are right for which queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overtop.cli.tables import read_text_columns
from overtop.errors import OvertopError


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
        rows = _find_rows(list(self.relevant), ids, f"{self.path}: column query", source)
        _, first, count = np.unique(rows, return_index=True, return_counts=True)
        if (count > 1).any():
            query = list(self.relevant)[int(first[count > 1][0])]
            raise OvertopError(f"{self.path}: query {query!r} is written in two ways; use one of them")
        return rows

    def find_items(self, ids: Sequence[str], source: str) -> list[list[int]]:
        """Return the rows of the relevant items of each labelled query, in the order of `relevant`.

        Args:
            ids: N names of the gallery items.
            source: where they come from, for messages.

        Raises:
            OvertopError: an item is not there, or a label names an id that several items share.
        """
        named = [item for items in self.relevant.values() for item in items]
        rows = iter(_find_rows(named, ids, f"{self.path}: column relevant", source).tolist())
        return [[next(rows) for _ in items] for items in self.relevant.values()]


def read_labels(path: Path) -> LabelTable:
    """Read a table with the columns `query` and `relevant`, one row per query and relevant item.

    An empty `relevant` means that no item of the gallery matches. Other columns are ignored.

    Raises:
        OvertopError: it is no such table, or a query has both an empty and another `relevant`.
    """
    table = read_text_columns(path, ["query", "relevant"])
    if (table["query"] == "").any():
        row = int(np.flatnonzero(table["query"] == "")[0])
        raise OvertopError(f"{path}: row {row + 1} has no query; fill in the column query or remove the row")
    relevant: dict[str, list[str]] = {}
    for query, items in table.groupby("query", sort=False)["relevant"]:
        named = list(dict.fromkeys(item for item in items if item))
        if named and (items == "").any():
            raise OvertopError(
                f"{path}: query {query!r} has both an empty `relevant` (nothing matches) and {named[0]!r}; keep one"
            )
        relevant[str(query)] = named
    return LabelTable(path, relevant)


def _find_rows(names: Sequence[str], ids: Sequence[str], place: str, source: str) -> np.ndarray:
    """Return the row of each name: the names are ids, or else row numbers, but never a mixture of both.

    Raises:
        OvertopError: a name is neither, or is the id of several rows.
    """
    row_of_id = dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))
    are_ids = [name in row_of_id for name in names]
    as_rows = [int(name) if name.isascii() and name.isdigit() else -1 for name in names]
    if names and not any(are_ids) and all(0 <= row < len(ids) for row in as_rows):
        return np.array(as_rows, dtype=np.int64)
    unknown = list(dict.fromkeys(name for name, is_id in zip(names, are_ids, strict=True) if not is_id))
    if unknown:
        raise OvertopError(
            f"{place}: {unknown[0]!r} is not in {source} ({len(unknown):,} of {len(set(names)):,} values are not); "
            f"use its ids, such as {ids[0]!r}, or its row numbers 0 to {len(ids) - 1}"
        )
    _check_unique(names, ids, place, source)
    return np.array([row_of_id[name] for name in names], dtype=np.int64)


def _check_unique(names: Sequence[str], ids: Sequence[str], place: str, source: str) -> None:
    if len(set(ids)) == len(ids):
        return
    values, counts = np.unique(np.asarray(ids, dtype=object), return_counts=True)
    repeated = set(values[counts > 1]) & set(names)
    if repeated:
        name = next(name for name in names if name in repeated)
        raise OvertopError(f"{place}: {name!r} is the id of several rows of {source}; make the ids unique")
