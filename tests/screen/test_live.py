"""The live display as text of 80 columns."""

import pytest
from rich.console import Console

from overtop.progress import report_path
from overtop.screen.live import render_run
from overtop.screen.run import Run, RunningJob

LOG = ".snakemake/log/2026.snakemake.log"


@pytest.fixture
def show():
    def lines(run, now=65.0):
        console = Console(width=80, record=True, file=open("/dev/null", "w"), legacy_windows=False)  # noqa: SIM115
        console.print(render_run(run, now, LOG))
        return [line.rstrip() for line in console.export_text().splitlines()]

    return lines


@pytest.fixture
def run(tmp_path):
    state = Run(0.0)
    state.plan({"embed": 10, "rank": 2})
    for number in range(2):
        name = f"embed shapes/test, shapes-{number}, dropout-0.2x20"
        state.start(number, RunningJob("embed", name, str(tmp_path / f"{number}.log"), 5.0))
    return state


def test_display_shows_jobs_with_progress_what_is_to_do_and_the_log(run, tmp_path, show):
    report_path(tmp_path / "0.log").write_text('["embed shapes-0", "image", 1200, 4000]')
    assert show(run) == [
        f"overtop {' ' * 20} 0 of 12 jobs, 1 min 5 s",
        "  embed shapes/test, shapes-0, dropout-0.2x20   1,200 of 4,000 images  1 min 0 s",
        "  embed shapes/test, shapes-1, dropout-0.2x20                          1 min 0 s",
        "  by stage: embed 0/10, rank 0/2",
        f"  log: {LOG}",
    ]


def test_downloads_are_shown_in_megabytes_and_unknown_totals_without_share(run, tmp_path, show):
    report_path(tmp_path / "0.log").write_text('["a.zip", "byte", 12000000, 400000000]')
    report_path(tmp_path / "1.log").write_text('["fetch", "image", 1200, 0]')
    text = "\n".join(show(run))
    assert "  12 of 400 MB  " in text
    assert "  1,200 images  " in text


def test_many_jobs_and_warnings_are_cut_to_a_few_lines_that_fit(run, show):
    for number in range(2, 60):
        run.start(number, RunningJob("embed", f"embed {'long name ' * 20}", "", 5.0))
    for number in range(5):
        run.warn(f"{number} captions were truncated{' and more' * 20}")
    lines = show(run)
    assert max(map(len, lines)) <= 80
    assert len(lines) == 15
    assert "  52 more started or queued" in lines
    assert [line[:13] for line in lines if "warning" in line] == ["  warning: 2 ", "  warning: 3 ", "  warning: 4 "]


def test_failure_and_interruption_are_seen_while_other_jobs_end(run, show):
    run.fail(0, why="killed")
    assert "  failed: embed shapes/test, shapes-0, dropout-0.2x20" in show(run)
    run.is_interrupted = True
    assert show(run)[0].endswith(", stopping ...")
