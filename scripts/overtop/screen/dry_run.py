"""What a dry run prints: the jobs by rule and why they would run."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from overtop.labels import format_count, list_names
from overtop.screen.snakemake_text import count_reasons

MAX_NAMES = 3
"""Jobs of a rule that are named."""


class PlannedJob(NamedTuple):
    """A job that would run: its name without its rule, and Snakemake's reason."""

    name: str
    reason: str


def describe_dry_run(totals: Mapping[str, int], jobs: Mapping[str, Sequence[PlannedJob]], width: int) -> Iterator[str]:
    """Yield a line per rule.

    Args:
        totals: number of jobs by rule.
        jobs: the jobs that were listed, by rule; those of a quiet dry run are not.
        width: columns of the terminal; longer lines are cut.
    """
    known = defaultdict(list, {rule: list(planned) for rule, planned in jobs.items()})
    reasons = {rule: ", ".join(count_reasons(job.reason for job in known[rule])) for rule in totals}
    rows = [("rule", "jobs", "why", "which")]
    for rule, total in totals.items():
        names = list_names(sorted(job.name for job in known[rule] if job.name), MAX_NAMES, "; ")
        rows.append((rule, f"{total:,}", reasons[rule], names))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for rule, number, why, names in rows:
        line = f"{rule:{widths[0]}}  {number:>{widths[1]}}  {why:{widths[2]}}  {names}".rstrip()
        yield line if len(line) <= width else f"{line[: width - 1]}…"
    jobs_in_all = format_count(sum(totals.values()), "job")
    yield f"{jobs_in_all} would run; nothing was run. --verbose lists every job with its files."
