"""The size limit of a page: query cards are left out until it fits."""

from collections.abc import Callable
from dataclasses import replace

from overtop.report.document import Document, QueryCards
from overtop.report.page import render_page

MAX_BYTES = 5_000_000
"""Size of a page, at most."""

MAX_DOWNLOAD_BYTES = 500_000
"""Size of a file that a page contains, at most; a larger one is named with its path."""

NO_ROOM = "No query cards are shown, because the page would exceed its size limit; declare a report with fewer tables."
"""Warning of a page without room for a single card."""

SAFETY = 0.97
"""Share of the remaining size that the next number of cards is chosen for."""


def add_cards(document: Document, n: int, draw: Callable[[int], tuple[list[QueryCards], list[str]]]) -> Document:
    """Add query cards and their thumbnails, as many as the page has room for.

    If it has room for none, it says so, and names its files instead of containing them.

    Args:
        document: without cards.
        n: number of cards of each panel to begin with; 0 for a page without cards.
        draw: makes the cards and the thumbnails for a number of cards.
    """
    without, declared = count_bytes(document), n
    while n > 0:
        cards, thumbnails = draw(n)
        full = replace(document, queries=cards, thumbnails=thumbnails)
        size = count_bytes(full)
        if size <= MAX_BYTES:
            return full
        n = min(n - 1, int(n * SAFETY * (MAX_BYTES - without) / (size - without)))
    if declared:
        document = replace(document, warnings=[*document.warnings, NO_ROOM])
    if count_bytes(document) > MAX_BYTES:
        document = replace(document, downloads=[replace(file, text=None) for file in document.downloads])
    return document


def count_bytes(document: Document) -> int:
    """The size of the page of a document."""
    return len(render_page(document).encode())
