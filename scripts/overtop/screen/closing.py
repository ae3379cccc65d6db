"""The last words of a run: why it failed, how to continue, or what it made."""

import sys
from collections.abc import Iterator
from types import TracebackType

from overtop.labels import format_count
from overtop.screen.run import Failure, Run
from overtop.screen.snakemake_text import killed_by
from overtop.screen.words import describe_seconds

INTERRUPTED = "overtop: interrupted; run the same command to continue"


def show_interruption(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Show an uncaught exception, one of Ctrl-C in one line; for `sys.excepthook`."""
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def describe_failures(run: Run) -> Iterator[str]:
    """Yield the lines on all failed jobs: why, which, and where its log is.

    A job of a group that failed is named only if its own log says why.
    """
    failures = list(run.failures.values())
    with_cause = [failure for failure in failures if failure.cause]
    for failure in with_cause or failures:
        yield from _describe(failure)


def _describe(failure: Failure) -> Iterator[str]:
    logs = ", ".join(path for path in (failure.log, *failure.others) if path)
    if failure.cause is None:
        yield f"overtop: {failure.name}: failed, and its log does not say why"
    elif failure.cause.is_explained:
        yield from (f"overtop: {line}" for line in failure.cause.lines)
    else:
        yield f"overtop: {failure.name}: failed unexpectedly"
        yield from (f"  {line}" for line in failure.cause.lines)
    yield f"  in {failure.name}; log: {logs}"


def describe_status(status: str) -> str:
    """The cause of a failed job whose log has none, from how its process ended.

    Args:
        status: its exit status, or the name of a signal.
    """
    signal = killed_by(status)
    if signal == "SIGKILL":
        return "it was killed (SIGKILL), often because the machine ran out of memory; free some, or run fewer jobs"
    return f"it was killed ({signal})" if signal else ""


def describe_work(run: Run, now: float) -> str:
    """How far a run came."""
    done = "" if run.n_finished == run.n_jobs else f"{run.n_finished} of "
    return f"{done}{format_count(run.n_jobs, 'job')} in {describe_seconds(now - run.started)}"
