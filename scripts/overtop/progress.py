"""One protocol for progress: a function that is called with the items done so far and their total."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)`, with `done` rising from call to call."""


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


@contextmanager
def progress_bar(description: str, unit: str) -> Iterator[Progress]:
    """A bar on a terminal, nothing elsewhere.

    Args:
        description: what is being done, in front of the bar.
        unit: one item in words.

    Yields:
        The function to call.
    """
    with tqdm(desc=description, unit=unit, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
