"""Memory budgets, in one place, and cutting work into parts that keep to them."""

from collections.abc import Iterator

MAX_ARRAY_BYTES = 256 * 2**20
"""Size of the largest working array."""

CACHE_BYTES = 2 * 2**20
"""Size of working arrays that are read several times: about one core's cache."""

RESIDENT_BYTES = 512 * 2**20
"""Size of the normalised images that the ranking pass holds at a time."""


def blocks(count: int, bytes_each: int, budget: int) -> Iterator[slice]:
    """Consecutive slices of `count` items of which `budget` bytes hold one slice; at least one item each."""
    size = max(1, budget // bytes_each)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
