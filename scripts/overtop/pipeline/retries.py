"""Which jobs ended with an error in their input, or because a source was not available, by their logs."""

import os
from collections.abc import Iterable

from overtop.pipeline.job import REFUSED, UNAVAILABLE


def is_permanent(logs: Iterable[str], since: float) -> bool:
    """Whether a job ended with an error in its input, which a retry would repeat.

    Args:
        logs: the log files of the job.
        since: start of the run in seconds since the epoch; an older log is of an earlier run.
    """
    return any(_ends_with(log, since, [REFUSED]) for log in logs)


def ended_with_error(logs: Iterable[str], since: float) -> bool:
    """Whether a job ended with an error that its user can read: in its input, or of a source that did not answer.

    Args:
        logs: the log files of the job.
        since: start of the run in seconds since the epoch; an older log is of an earlier run.
    """
    return any(_ends_with(log, since, [REFUSED, UNAVAILABLE]) for log in logs)


def _ends_with(log: str, since: float, loggers: Iterable[str]) -> bool:
    """Whether the last line of a log of this run is an error of one of the loggers."""
    try:
        if os.stat(log).st_mtime < since:
            return False
        with open(log, "rb") as file:
            file.seek(max(0, os.stat(log).st_size - 10_000))
            last = file.read().decode(errors="replace").rstrip().rpartition("\n")[2]
    except OSError:
        return False
    return any(f" {name}: " in last for name in loggers)
