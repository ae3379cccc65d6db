"""The device a job computes on, and a context in which torch is deterministic."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def default_device() -> str:
    """`cuda` if torch finds a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def reproducible(threads: int, seed: int) -> Iterator[None]:
    """Run torch with a fixed seed, a fixed number of CPU threads and deterministic kernels.

    On exit torch's random state, its number of threads and its choice of kernels are restored.

    Args:
        threads: CPU threads; the rounding of sums depends on their number.
        seed: seed of torch's global random generators.
    """
    previous_threads = torch.get_num_threads()
    previously_deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(previous_threads)
        torch.use_deterministic_algorithms(previously_deterministic)
