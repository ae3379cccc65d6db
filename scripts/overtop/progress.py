"""The progress convention of long passes: a function that is called with the items done and their total.

A rule script reports to a small file beside its log, which the screen of the run reads: jobs do not share a terminal.
Other programs show a bar on their terminal.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from tqdm import tqdm

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)`, with `done` rising from call to call; a total of 0 is unknown."""

SECONDS_BETWEEN_REPORTS = 1.0
"""The logs of a cluster are on a shared disk."""

_report: Path | None = None
"""The file to which this process reports; None for a bar on the terminal."""


class Report(NamedTuple):
    """What a job has reported last: a label, the singular name of an item, and the items done and in total."""

    description: str
    unit: str
    done: int
    total: int


def no_progress(done: int, total: int) -> None:
    """Report nothing; the default of functions that report their progress."""


def report_path(log: str | os.PathLike[str]) -> Path:
    """The file of the progress of a job, beside its log."""
    return Path(f"{os.fspath(log)}.progress")


@contextmanager
def progress_reported_to(log: str | os.PathLike[str]) -> Iterator[None]:
    """Within the block, `progress_bar` reports to the file beside `log`, which is removed at the end."""
    global _report
    _report = report_path(log)
    try:
        yield
    finally:
        with suppress(OSError):
            _report.unlink(missing_ok=True)
        _report = None


def read_report(log: str | os.PathLike[str]) -> Report | None:
    """What the job with that log has reported, None if it has not reported anything."""
    try:
        return Report(*json.loads(report_path(log).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def progress_bar(description: str, unit: str) -> Iterator[Progress]:
    """Report the progress of a job, or show a bar on a terminal, and nothing where the output is not a terminal.

    Args:
        description: label in front of the bar, such as "rank".
        unit: singular name of one item, such as "caption".

    Yields:
        The `Progress` function that moves the bar.
    """
    if _report is not None:
        yield _reporter(_report, description, unit)
        return
    with tqdm(desc=description, unit=unit, unit_scale=unit == "byte", disable=None) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        yield update


def track(items: Iterable[T], description: str, unit: str) -> Iterator[T]:
    """Yield the items and report how many are done; arguments as of `progress_bar`."""
    total = len(items) if isinstance(items, Sized) else 0
    with progress_bar(description, unit) as progress:
        for number, item in enumerate(items, start=1):
            yield item
            progress(number, total)


def _reporter(path: Path, description: str, unit: str) -> Progress:
    """A `Progress` function that writes to a file, at most once in `SECONDS_BETWEEN_REPORTS`."""
    due = time.monotonic() + SECONDS_BETWEEN_REPORTS  # short jobs write nothing

    def update(done: int, total: int) -> None:
        nonlocal due
        if (now := time.monotonic()) < due:
            return
        due = now + SECONDS_BETWEEN_REPORTS
        part = path.with_name(f"{path.name}.tmp")
        with suppress(OSError):  # a full disk is reported by what the job writes
            part.write_text(json.dumps(Report(description, unit, done, total)), encoding="utf-8")
            part.replace(path)

    return update
