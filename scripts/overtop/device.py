"""The device a job computes on, and contexts in which torch is deterministic or rounds as stated."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def default_device() -> str:
    """`cuda` if torch finds a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def tensor_float_32(allowed: bool) -> Iterator[None]:
    """Whether a GPU may round the factors of float32 products to TF32, a mantissa of 10 bits in place of 23.

    By default torch does so in convolutions and not in matrix products. On exit its choice is restored.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    previous = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = previous


@contextmanager
def reproducible(threads: int, seed: int) -> Iterator[None]:
    """Run torch with a fixed seed, a fixed number of CPU threads, deterministic kernels and float32 without TF32.

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
        with torch.random.fork_rng(), tensor_float_32(False):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(previous_threads)
        torch.use_deterministic_algorithms(previously_deterministic)
