"""Memory budgets of the numerical passes, and slices of work that stay within them."""

from collections.abc import Iterator

MAX_ARRAY_BYTES = 256 * 2**20
"""Size of the largest working array."""

CACHE_BYTES = 2 * 2**20
"""Size of working arrays that are read several times: about the cache of one core."""

RESIDENT_BYTES = 512 * 2**20
"""Size of the normalised images that the ranking pass holds in memory at a time."""

RESAMPLE_BYTES = 512 * 2**10
"""Size of one intermediate array of the bootstrap: several of them fit the cache of a core."""

CHUNK_IMAGES = 32768
"""Most images whose rankings are accumulated by themselves before they are merged: the unit of slices of a gallery."""

CPU_BLOCK_ITEMS = 2048
"""Largest side of a block of similarities in the ranking pass on a CPU."""

GPU_BLOCK_ITEMS = 8192
"""Largest side of a block of similarities in the ranking pass on a GPU."""

READ_ITEMS = 8192
"""Most embeddings that are read from a source at a time."""

PAIR_READ_ITEMS = 4096
"""Most embeddings that are read from a source at a time where they are converted to float64."""

ARGMAX_CHUNK_ROWS = 256
"""Rows of similarities that are searched for their largest entries at a time."""


def blocks(count: int, bytes_each: int, budget: int) -> Iterator[slice]:
    """Cut `count` items into consecutive slices that fit a memory budget.

    Args:
        count: number of items.
        bytes_each: bytes of one item.
        budget: bytes of one slice; a slice has at least one item even where that exceeds the budget.

    Yields:
        Slices with both ends.
    """
    size = max(1, budget // bytes_each)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
