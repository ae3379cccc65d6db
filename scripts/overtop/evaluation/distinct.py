"""Evaluation of equal queries once, in threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

Content = tuple[bytes, ...]
"""Uncertainties, hits and whatever else the measures of queries depend on, as bytes: equal where all of them are."""


class HasContent(Protocol):
    """Queries whose measures depend only on `content`."""

    @property
    def content(self) -> Content:
        """Equal for queries whose measures are equal."""
        ...


Queries = TypeVar("Queries", bound=HasContent)
Result = TypeVar("Result")


def map_distinct(
    measure: Callable[[Queries], Result], queries: Iterable[Queries], threads: int
) -> dict[Content, Result]:
    """Return the result of `measure` by content, computed once for queries of equal content.

    Most estimators are the same under both protocols, which halves the work.

    Args:
        measure: function of queries that depends only on their content.
        queries: those to measure.
        threads: number of threads; the result does not depend on it.
    """
    distinct = {item.content: item for item in queries}
    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(distinct, pool.map(measure, distinct.values()), strict=True))
