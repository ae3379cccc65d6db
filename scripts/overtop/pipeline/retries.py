"""Failed jobs that another attempt cannot help."""

import os
from collections.abc import Iterable

from overtop.pipeline.job import REFUSED


def is_permanent(logs: Iterable[str], since: float) -> bool:
    """Whether a job ended with an error in its input, which a retry would repeat.

    Args:
        logs: the log files of the job.
        since: start of the run in seconds since the epoch; an older log is of an earlier run.
    """
    return any(_ends_refused(log, since) for log in logs)


def _ends_refused(log: str, since: float) -> bool:
    try:
        if os.stat(log).st_mtime < since:
            return False
        with open(log, "rb") as file:
            file.seek(max(0, os.stat(log).st_size - 10_000))
            last = file.read().decode(errors="replace").rstrip().rpartition("\n")[2]
    except OSError:
        return False
    return f" {REFUSED}: " in last
