"""Which processor a job uses, and how it gives the same bytes each time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def default_device() -> str:
    """`cuda` where torch finds a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def reproducible(threads: int, seed: int) -> Iterator[None]:
    """Fixed seed, fixed number of threads (sums depend on it) and deterministic kernels, then all as it was."""
    threads_before, strict_before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(strict_before)
