"""The screen of a run: Snakemake's log records in, the display and its lines out."""

import time
from collections import defaultdict
from collections.abc import Callable
from logging import WARNING, LogRecord
from typing import Any, Literal

from overtop.labels import format_count
from overtop.pipeline.run_lock import describe_lock
from overtop.screen.closing import INTERRUPTED, describe_failures, describe_status, describe_work
from overtop.screen.dry_run import PlannedJob, describe_dry_run
from overtop.screen.live import render_planning, render_run
from overtop.screen.output import Output
from overtop.screen.run import Run, RunningJob
from overtop.screen.snakemake_text import error_lines, exit_status, killed_by
from overtop.screen.words import describe_job, describe_seconds

MAX_WARNINGS = 3
"""Warnings that are repeated at the end of a run on a terminal."""

MAX_LINES = 2
"""Of the terminal for one line of the results, so that all of them fit."""

INTERRUPTIONS = ("Terminating processes on user request", "Will exit after finishing currently running jobs")
RETRY = "Trying to restart job "
NOTHING_TO_DO = "Nothing to be done"
FAILED_JOBS = ("At least one job did not complete successfully", "Exiting because a job execution failed")
"""Errors that only say that there was an error."""

BEFORE_THE_RUN = ("Building DAG of jobs", "Assuming unrestricted", "Config file ", "Multiple includes")
"""Messages before a run that are of no use on a screen; others answer commands such as `--unlock`."""

Shows = Literal["everything", "errors and results", "results"]


class Screen:
    """Shows one run; `handle` takes each record, and `close` prints the last words.

    Args:
        output: where to.
        log: a function that returns the path of Snakemake's log, "" if there is none.
        is_dry_run: whether nothing is run.
        shows: everything; or only errors and results, as jobs are not followed; or only results, as Snakemake's own
            text is shown.
    """

    def __init__(self, output: Output, log: Callable[[], str], *, is_dry_run: bool, shows: Shows) -> None:
        self.describe_results: Callable[[], list[str]] = list
        """Returns lines on the results, the last words of a run; set by the Snakefile."""
        self._output, self._find_log, self._log = output, log, ""
        self._is_dry_run, self._shows = is_dry_run, shows
        self._run = Run(time.time())
        self._planned: dict[str, list[PlannedJob]] = defaultdict(list)
        self._statuses: dict[int | None, str] = {}
        self._errors: list[str] = []
        self._last_words = ""
        self._is_started = self._is_closed = False

    def handle(self, record: LogRecord) -> None:
        """Take a record."""
        event = getattr(record, "event", None)
        takers: dict[str, Callable[[Any], None]] = {
            "workflow_started": self._begin,
            "run_info": self._plan,
            "job_info": self._start_job,
            "job_finished": self._finish_job,
            "job_error": self._fail_job,
            "error": self._take_error,
        }
        if event is None:
            self._take_message(record)
        elif taker := takers.get(str(event)):
            taker(record)

    def close(self) -> None:
        """Print the last words, and give the terminal back; further calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._output.clear()
        self._output.restore_streams()
        self._run.end()
        if self._run.is_interrupted:
            done = f" ({describe_work(self._run, time.time())})" if self._run.n_jobs else ""
            self._output.print(f"{INTERRUPTED}{done}", "bold yellow")
        elif self._run.failures or (self._errors and not self._is_complete()):
            self._print_errors()
        elif self._is_dry_run and self._run.totals:
            self._print_plan()
        elif self._last_words:
            self._print_results()

    def _is_complete(self) -> bool:
        """Whether the run has ended with all of its jobs, so that errors such as those of Slurm had no effect."""
        return bool(self._last_words) and self._run.n_finished == self._run.n_jobs

    def _begin(self, record: Any) -> None:
        self._is_started, self._log = True, self._find_log()
        if self._shows == "everything":
            self._output.show(render_planning)

    def _plan(self, record: Any) -> None:
        self._run.plan(record.stats)
        if self._is_dry_run:
            return
        if self._log and self._shows != "results":
            self._output.redirect_streams(self._log)
        if self._shows != "everything":
            return
        if self._output.is_terminal:
            self._output.show(lambda: render_run(self._run, time.time(), self._log))
        else:
            words = ", ".join(f"{rule} {number}" for rule, number in self._run.totals.items())
            self._output.print(f"overtop: {format_count(self._run.n_jobs, 'job')}: {words}; log: {self._log}")

    def _start_job(self, record: Any) -> None:
        if record.rule_name == "all":
            return
        name = describe_job(record.rule_name, record.wildcards)
        if self._is_dry_run:
            planned = PlannedJob(name.removeprefix(record.rule_name).strip(), record.reason)
            self._planned[record.rule_name].append(planned)
            return
        log = record.log[0] if record.log else ""
        self._run.start(record.jobid, RunningJob(record.rule_name, name, log, time.time()))

    def _finish_job(self, record: Any) -> None:
        job = self._run.finish(record.job_id, time.time())
        if job is None:
            return
        self._print_line(f"[{self._run.n_finished}/{self._run.n_jobs}] {job.name}, {describe_seconds(job.seconds)}")
        for text in job.warnings:
            self._print_line(f"warning: {text}")

    def _fail_job(self, record: Any) -> None:
        status = self._statuses.pop(record.thread, "")
        if killed_by(status) == "SIGINT":
            self._run.is_interrupted = True
        why = describe_status(status) or (record.rule_msg or "").partition("For further error details")[0]
        failure = self._run.fail(record.jobid, record.log[1:], why)
        if failure and self._run.running:  # the end of the run, where the cause is shown, may be far
            others = format_count(len(self._run.running), "other job")
            self._print_line(f"failed: {failure.name}, waiting for {others}")

    def _take_error(self, record: Any) -> None:
        """An exception; that of a failed job is followed by the job's own record from the same thread."""
        text = record.getMessage()
        if (status := exit_status(text)) is not None:
            self._statuses[record.thread] = status
        elif getattr(record, "exception", None) == "LockException":
            self._errors.append(describe_lock())
        elif not any(words in text for words in FAILED_JOBS):
            self._errors += [line for line in error_lines(text) if line not in self._errors]

    def _take_message(self, record: LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(INTERRUPTIONS):
            self._run.is_interrupted = True
        elif text.startswith(RETRY):
            self._retry_job(text)
        elif text.startswith(NOTHING_TO_DO):
            self._last_words = "overtop: Nothing to be done, the results are up to date"
        elif text.startswith("Elapsed time"):
            self._last_words = f"overtop: done, {describe_work(self._run, time.time())}"
        elif record.levelno > WARNING and not text.startswith(FAILED_JOBS):
            self._errors.append(" ".join(text.split()))
        elif record.levelno == WARNING:
            self._warn(" ".join(text.split()))
        elif not self._is_started and self._shows == "everything" and not text.startswith(BEFORE_THE_RUN):
            self._output.print(text)

    def _retry_job(self, text: str) -> None:
        self._run.retry(int(text.removeprefix(RETRY).rstrip(".")))
        self._print_line(f"warning: {self._run.warnings[-1]}")

    def _warn(self, text: str) -> None:
        if self._run.warn(text):
            self._print_line(f"warning: {text}")

    def _print_line(self, text: str) -> None:
        """Print a line where there is no live display."""
        if not self._output.is_terminal and self._shows == "everything":
            self._output.print(text)

    def _print_errors(self) -> None:
        if self._shows == "results":
            return
        self._print_warnings()
        for line in describe_failures(self._run):
            self._output.print(line, "bold red" if line.startswith("overtop: ") else "")
        for line in dict.fromkeys(self._errors):
            self._output.print(f"overtop: {line.removeprefix('overtop: ')}", "bold red")
        if self._run.failures:
            done = describe_work(self._run, time.time())
            self._output.print(
                f"overtop: stopped after {done}; after the fix, the same command continues; log: {self._log}"
            )

    def _print_warnings(self) -> None:
        """The last warnings, which a live display has removed."""
        if self._output.is_terminal:
            for text in self._run.warnings[-MAX_WARNINGS:]:
                self._output.print(f"warning: {text}", "yellow")

    def _print_plan(self) -> None:
        if self._shows == "results":
            return
        for line in describe_dry_run(self._run.totals, self._planned, self._output.width):
            self._output.print(line)

    def _print_results(self) -> None:
        self._print_warnings()
        for line in dict.fromkeys(self._errors) if self._shows != "results" else ():
            self._output.print(f"warning: {line}", "yellow")
        self._output.print(self._last_words, "bold")
        if not self._is_dry_run:
            for line in self.describe_results():
                self._output.print(line, most_lines=MAX_LINES)
