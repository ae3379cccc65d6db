"""The errors and reasons in Snakemake's texts, without its own words around them."""

import re
from collections import Counter
from collections.abc import Iterable

from overtop.errors import OvertopError

_HEADER = re.compile(r"^\w+( in rule \w+)?( in file \".*\", line \d+)?:?$")
_FRAME = re.compile(r'^\s*File ".*", line \d+, in ')
_END = re.compile(r"^(Wildcards|Traceback):$")
_STATUS = re.compile(r"returned non-zero exit status (\d+)|died with <Signals\.(\w+)")

OURS = f"{OvertopError.__name__}: "
"""What Snakemake puts in front of the message of an error that an input function raises."""

MISSING_OUTPUT = "output is missing"
REASONS = (
    (r"^Missing output files", MISSING_OUTPUT),
    (r"^Input files updated by another job", "its input is made again"),
    (r"^Updated input files", "a file changed"),
    (r"^Set of input files has changed", "its input is other files"),
    (r"^Params have changed", "a setting changed"),
    (r"^(Forced execution|Forced rule|Rules with)", "forced"),
    (r"^Incomplete", "an interrupted run left it unfinished"),
    (r"^Code has changed", "its code changed"),
    (r"^Software environment", "its software changed"),
)
"""Patterns of Snakemake's reasons, and our words."""


def error_lines(text: str) -> list[str]:
    """The lines of an error that a user needs: no kinds of exceptions, places in the workflow or wildcards."""
    kept: list[str] = []
    for line in text.strip().splitlines():
        if _END.match(line.strip()):
            break
        if line.strip() and not _HEADER.match(line.strip()) and not _FRAME.match(line):
            kept.append(line.strip().removeprefix(OURS))
    return kept or text.strip().splitlines()[:1]


def exit_status(text: str) -> str | None:
    """How the process of a failed job ended, "1" or "SIGKILL"; None if the error is of another kind."""
    match = _STATUS.search(text)
    return (match[1] or match[2]) if match else None


def killed_by(status: str) -> str:
    """The signal that ended a process, or "" if it exited by itself."""
    by_number = {"137": "SIGKILL", "143": "SIGTERM", "130": "SIGINT", "139": "SIGSEGV", "134": "SIGABRT"}
    return by_number.get(status, "" if status.isdigit() else status)


def count_reasons(reasons: Iterable[str]) -> Counter[str]:
    """How often each reason occurs in our words.

    Args:
        reasons: one text per job, with several reasons separated by semicolons.
    """
    counts: Counter[str] = Counter()
    for text in reasons:
        parts = [part.strip() for part in text.split("; ")]
        words = {words for part in parts for pattern, words in REASONS if re.match(pattern, part)}
        # If the output is missing, other reasons do not matter.
        counts.update({MISSING_OUTPUT} & words or words or {text})
    return counts
