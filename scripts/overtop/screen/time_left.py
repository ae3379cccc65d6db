"""How long a run still takes, as far as its finished jobs tell."""

from overtop.screen.run import Run, RunningJob
from overtop.screen.words import describe_seconds

MIN_SECONDS = 5
"""Nothing is estimated from a shorter time."""


def describe_time_left(run: Run, now: float) -> str:
    """The time left, "more than" it if no job of some rule has finished, or "" if there is nothing to estimate from.

    A job is expected to take the mean of the finished jobs of its rule, and a running one that reports its progress to
    go on at its speed. Jobs run side by side as much as they did so far.

    Args:
        run: the run.
        now: seconds since the epoch.
    """
    elapsed = now - run.started
    done = sum(run.seconds.values())
    if elapsed < MIN_SECONDS or not done:
        return ""
    waiting = {rule: total - run.finished[rule] for rule, total in run.totals.items()}
    work, is_complete = 0.0, True
    for job in list(run.running.values()):  # jobs start and end in another thread
        waiting[job.rule] -= 1
        left = _left_of(job, run, now)
        work, is_complete = work + (left or 0), is_complete and left is not None
    for rule, number in waiting.items():
        if number > 0 and run.finished[rule]:
            work += number * run.seconds[rule] / run.finished[rule]
        elif number > 0:
            is_complete = False
    side_by_side = max(1.0, done / elapsed)
    seconds = work / side_by_side
    if seconds < MIN_SECONDS and not is_complete:
        return ""
    return f"{'about' if is_complete else 'more than'} {_round(seconds)} left"


def _left_of(job: RunningJob, run: Run, now: float) -> float | None:
    """Seconds that a running job still takes; None if nothing tells."""
    elapsed = now - job.started
    report = job.report()
    if report and 0 < report.done <= report.total:
        return elapsed * (report.total - report.done) / report.done
    if run.finished[job.rule]:
        return max(0.0, run.seconds[job.rule] / run.finished[job.rule] - elapsed)
    return None


def _round(seconds: float) -> str:
    """A duration that claims no more than it knows."""
    if seconds < 60:
        return f"{max(10, round(seconds, -1)):.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return describe_seconds(round(seconds / 600) * 600)
