"""The state of a run: its jobs, what it warned of, and what failed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from overtop.pipeline.job_logs import Cause, find_cause, find_warnings, read_end
from overtop.progress import Report, read_report, report_path

MAX_WARNINGS = 3
"""Warnings of one job that are shown."""


class RunningJob(NamedTuple):
    """A job that was started or submitted."""

    rule: str
    name: str
    log: str
    started: float

    def report(self) -> Report | None:
        """What it has reported last."""
        return read_report(self.log) if self.log else None


class Failure(NamedTuple):
    """A job that failed: its name, why, its log, and further logs such as that of Slurm."""

    name: str
    cause: Cause | None
    log: str
    others: Sequence[str] = ()


class FinishedJob(NamedTuple):
    """A job that has finished, with the warnings in its log."""

    name: str
    seconds: float
    warnings: list[str]


@dataclass
class Run:
    """What is known of a run at some moment.

    Attributes:
        started: seconds since the epoch.
        totals: number of jobs by rule, in the order of the pipeline.
        finished: number of finished jobs by rule.
        seconds: the time that they took, by rule.
        running: jobs by number.
        warnings: all warnings, each once.
        failures: by number of the job, those that are tried again excepted.
        is_interrupted: whether it was told to stop; jobs that end then have not failed.
    """

    started: float
    totals: dict[str, int] = field(default_factory=dict)
    finished: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    running: dict[int, RunningJob] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    is_interrupted: bool = False

    @property
    def n_jobs(self) -> int:
        """Number of all jobs."""
        return sum(self.totals.values())

    @property
    def n_finished(self) -> int:
        """Number of finished jobs."""
        return sum(self.finished.values())

    def plan(self, totals: Mapping[str, int]) -> None:
        """Set the number of jobs by rule, without the rule that only names targets."""
        self.totals = {rule: number for rule, number in totals.items() if rule not in ("all", "total")}

    def warn(self, text: str) -> bool:
        """Add a warning; False if it was there."""
        if text in self.warnings:
            return False
        self.warnings.append(text)
        return True

    def start(self, number: int, job: RunningJob) -> None:
        """A job was started or submitted."""
        self._remove_report(job)
        self.failures.pop(number, None)
        self.running[number] = job

    def finish(self, number: int, now: float) -> FinishedJob | None:
        """A job has finished; None if it is not one of the plan."""
        job = self.running.pop(number, None)
        if job is None:
            return None
        self._remove_report(job)
        self.finished[job.rule] += 1
        self.seconds[job.rule] += now - job.started
        warnings = find_warnings(read_end(job.log, self.started))
        if (hidden := len(warnings) - MAX_WARNINGS) > 0:
            warnings[MAX_WARNINGS:] = [f"{hidden} more of {job.name} in {job.log}"]
        return FinishedJob(job.name, now - job.started, [text for text in warnings if self.warn(text)])

    def fail(self, number: int, others: Sequence[str] = (), why: str = "") -> Failure | None:
        """A job has failed; None if it is not running, or was stopped with the run.

        Args:
            number: the job.
            others: further logs.
            why: the cause where its log has none.
        """
        job = self.running.pop(number, None)
        if job is not None:
            self._remove_report(job)
        if job is None or self.is_interrupted:
            return None
        cause = find_cause(read_end(job.log, self.started))
        if cause is None and why:
            cause = Cause([f"{job.name}: {why}"], is_explained=True)
        self.failures[number] = Failure(job.name, cause, job.log, others)
        return self.failures[number]

    def retry(self, number: int) -> None:
        """A failed job is tried again."""
        failure = self.failures.pop(number, None)
        if failure is not None:
            why = f": {failure.cause.lines[-1]}" if failure.cause else ""
            self.warn(f"{failure.name} failed and is tried again{why}")

    def end(self) -> None:
        """Nothing runs any more."""
        for job in self.running.values():
            self._remove_report(job)
        self.running.clear()

    @staticmethod
    def _remove_report(job: RunningJob) -> None:
        """Remove the report of a job that was killed."""
        if job.log:
            with suppress(OSError):
                report_path(job.log).unlink(missing_ok=True)
