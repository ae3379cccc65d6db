"""The closing summary of an answer: how many queries to act on, what is promised, and the first answers."""

import json
from pathlib import Path

from overtop.labels import format_count, shorten
from overtop.storage.tables import open_parquet, read_table_metadata

SHOWN_ROWS = 5
"""Answers that are shown."""

SHOWN_CHARACTERS = 60
"""Longest query or item that is shown whole."""


def answers_summary(path: Path) -> list[str]:
    """Return the summary of one of the two files of an answer, of which the parquet file has the provenance.

    Args:
        path: the parquet or the CSV file.
    """
    parquet = path.with_suffix(".parquet")
    if not parquet.is_file():
        return []
    facts = json.loads(read_table_metadata(parquet)["provenance"])
    share = facts["acted"] / facts["queries"]
    lines = [
        f"{format_count(facts['queries'], 'query')}; act on {facts['acted']:,} ({100 * share:.0f} %) at "
        f"precision {facts['precision']:g}, by {facts['estimator']}",
        f"Promise: {facts['promise']}",
        *(f"Warning: {warning}" for warning in facts["warnings"]),
    ]
    return lines + _first_rows(parquet)


def _first_rows(parquet: Path) -> list[str]:
    """The first answers as aligned columns."""
    batch = next(open_parquet(parquet).iter_batches(batch_size=SHOWN_ROWS), None)
    rows = [] if batch is None else batch.to_pylist()
    return _align(
        [
            ("query", "top-1", "p_right", "act", "warning"),
            *(
                (
                    shorten(r["query"], SHOWN_CHARACTERS),
                    shorten(r["top1"], SHOWN_CHARACTERS),
                    f"{r['p_right']:.2f}",
                    str(r["act"]),
                    r["warning"],
                )
                for r in rows
            ),
        ]
    )


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
