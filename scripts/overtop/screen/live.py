"""The display of a run on a terminal: what runs, what is done, the time left, and the last warnings."""

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from overtop.labels import format_count, plural
from overtop.progress import Report
from overtop.screen.run import Run
from overtop.screen.time_left import describe_time_left
from overtop.screen.words import describe_seconds

MAX_JOBS = 8
"""Running jobs that are shown."""

MAX_WARNINGS = 3
"""Warnings that are shown, the last ones."""

BAR_WIDTH = 20


def render_planning() -> RenderableType:
    """The display while Snakemake builds its graph."""
    return Text("overtop: reading the configuration and planning the jobs ...", style="dim", no_wrap=True)


def render_run(run: Run, now: float, log: str) -> RenderableType:
    """The display of a run.

    Args:
        run: its state.
        now: seconds since the epoch.
        log: Snakemake's log.
    """
    lines: list[RenderableType] = [_headline(run, now), _jobs(run, now)]
    if (hidden := len(run.running) - MAX_JOBS) > 0:
        lines.append(_line(f"{hidden} more started or queued", "dim"))
    if stages := _describe_stages(run):
        lines.append(_line(f"by stage: {stages}", "dim"))
    lines += [_line(f"failed: {failure.name}", "red") for failure in list(run.failures.values())[-MAX_WARNINGS:]]
    lines += [_line(f"warning: {text}", "yellow") for text in run.warnings[-MAX_WARNINGS:]]
    return Group(*lines, _line(f"log: {log}", "dim"))


def _line(text: str, style: str) -> Text:
    return Text(f"  {text}", style=style, no_wrap=True, overflow="ellipsis")


def _headline(run: Run, now: float) -> RenderableType:
    left = "stopping ..." if run.is_interrupted else describe_time_left(run, now)
    words = f" {run.n_finished} of {format_count(run.n_jobs, 'job')}, {_elapsed(run.started, now)}"
    grid = Table.grid()
    grid.add_row(
        Text("overtop ", style="bold"),
        ProgressBar(
            total=max(1, run.n_jobs),
            completed=run.n_finished,
            width=BAR_WIDTH,
            complete_style="cyan",
            finished_style="green",
        ),
        Text(words + (f", {left}" if left else "")),
    )
    return grid


def _jobs(run: Run, now: float) -> RenderableType:
    """A row per running job: its name, its progress and its time."""
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True, style="dim")
    for job in list(run.running.values())[:MAX_JOBS]:
        name = Text(f"  {job.name}")
        name.stylize("bold cyan", 2, 2 + len(job.rule))
        grid.add_row(name, _describe_report(job.report()), _elapsed(job.started, now))
    return grid


def _elapsed(started: float, now: float) -> str:
    return describe_seconds(max(0, round(now - started)))


def _describe_report(report: Report | None) -> str:
    if report is None:
        return ""
    done, total, unit = f"{report.done:,}", f"{report.total:,}", plural(report.unit)
    if report.unit == "byte":
        done, total, unit = f"{report.done / 1e6:,.0f}", f"{report.total / 1e6:,.0f}", "MB"
    return f"{done} of {total} {unit}" if report.total else f"{done} {unit}"


def _describe_stages(run: Run) -> str:
    """How many jobs of each rule are done, for the rules that are not complete."""
    unfinished = {rule: total for rule, total in run.totals.items() if run.finished[rule] < total}
    return ", ".join(f"{rule} {run.finished[rule]}/{total}" for rule, total in unfinished.items())
