"""What the logs of jobs contain: their warnings, why they failed, and whether another attempt would fail as well."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from overtop.pipeline.job import REFUSED, UNAVAILABLE

MAX_BYTES = 100_000
"""Read from the end of a log."""

MAX_TRACEBACK_LINES = 12

_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (?P<level>[A-Z]+) (?P<logger>[\w.]+): (?P<message>.*)$")


class Cause(NamedTuple):
    """Why a job failed: lines, and whether they explain it rather than being the traceback of a bug."""

    lines: list[str]
    is_explained: bool


def read_end(log: str | os.PathLike[str], since: float) -> list[str]:
    """The last lines of a log of this run; none if it cannot be read or is older.

    Args:
        log: its path.
        since: start of the run in seconds since the epoch.
    """
    try:
        with Path(log).open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mtime < since:
                return []
            file.seek(max(0, status.st_size - MAX_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def find_warnings(lines: Iterable[str]) -> list[str]:
    """The warnings of this project in a log; those of other libraries stay there."""
    entries = (_ENTRY.match(line) for line in lines)
    return [
        entry["message"] for entry in entries if entry and entry["level"] == "WARNING" and _is_ours(entry["logger"])
    ]


def _is_ours(logger: str) -> bool:
    return logger.split(".")[0] in ("overtop", "__main__")


def find_cause(lines: list[str]) -> Cause | None:
    """Why a job failed according to the end of its log; None if the log does not say it, as that of a killed job."""
    logger, message = _last_entry(lines)
    if logger in (REFUSED, UNAVAILABLE):
        return Cause(message, is_explained=True)
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not starts or lines[-1].startswith("KeyboardInterrupt"):
        return None
    traceback = lines[starts[-1] :]
    return Cause(traceback[-MAX_TRACEBACK_LINES:], is_explained=False)


def is_permanent(logs: Iterable[str], since: float) -> bool:
    """Whether a job ended with an error in its input, which another attempt would repeat.

    Args:
        logs: the log files of the job.
        since: start of the run in seconds since the epoch; an older log is of an earlier run.
    """
    return any(_last_entry(read_end(log, since))[0] == REFUSED for log in logs)


def ended_with_error(logs: Iterable[str], since: float) -> bool:
    """Whether a job ended with an error in its input, or because a source did not answer; arguments as above."""
    return any(_last_entry(read_end(log, since))[0] in (REFUSED, UNAVAILABLE) for log in logs)


def _last_entry(lines: list[str]) -> tuple[str, list[str]]:
    """The logger of the last entry, "" if there is none, and the lines of its message."""
    for number in reversed(range(len(lines))):
        if entry := _ENTRY.match(lines[number]):
            return entry["logger"], [entry["message"], *lines[number + 1 :]]
    return "", []
