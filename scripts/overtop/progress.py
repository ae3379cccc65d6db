"""The progress convention of long passes: a function that is called with the items done and their total."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)`, with `done` rising from call to call."""


def no_progress(done: int, total: int) -> None:
    """Report nothing; the default of functions that report their progress."""


@contextmanager
def progress_bar(description: str, unit: str) -> Iterator[Progress]:
    """Show a progress bar on a terminal, and nothing where the output is not a terminal.

    Args:
        description: label in front of the bar, such as "rank".
        unit: singular name of one item, such as "caption".

    Yields:
        The `Progress` function that moves the bar.
    """
    with tqdm(desc=description, unit=unit, disable=None) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update
