"""What the user of a terminal sees of a run: calm while it goes on, after Ctrl-C, and when it ends."""

import signal

import pytest

from helpers.interrupted_runs import TARGET, background_run, compare_results, wait_until
from helpers.pipeline import BIN, ENVIRONMENT, TINY_CONFIG, Project
from helpers.terminal import COLUMNS, CTRL_C, LINES, run_in_terminal

pytestmark = pytest.mark.slow

NOISE = ("Select jobs", "localrule", "jobid", "resources:", "Traceback", "KeyboardInterrupt", "SNAKEMAKE", "host:")


STOPPED_WHILE_SELECTING = """
import os, signal
from snakemake.cli import main
from snakemake.scheduling.job_scheduler import JobScheduler
select = JobScheduler.update_available_resources
def stop_and_select(self, jobs):
    os.kill(os.getpid(), signal.SIGTERM)
    select(self, jobs)
JobScheduler.update_available_resources = stop_and_select
main()
"""
"""A Snakemake that gets a SIGTERM while it holds the lock of its scheduler."""


def see(project, *arguments, **options):
    seen = run_in_terminal([*project.snakemake, *arguments], project.root, ENVIRONMENT, **options)
    for screen in seen.screens:
        assert not [noise for noise in NOISE if noise in screen], screen
    assert not list(project.root.glob("logs/**/*.progress*")), "reports are left"
    return seen


@pytest.fixture
def interrupted(fresh):
    """A run that is interrupted when its first encoder is being trained."""
    project = Project(fresh.root, forks_jobs=True)
    pressed = []

    def press(screen):
        if "  train tiny-" in screen and not pressed:
            pressed.append(True)
            return CTRL_C
        return b""

    return project, see(project, TARGET, *TINY_CONFIG, type_keys=press)


def test_interrupted_run_is_one_line_and_the_same_command_shows_the_rest(tiny, interrupted):
    project, seen = interrupted
    assert seen.status != 0
    assert "overtop: interrupted; run the same command to continue (" in seen.last
    assert "failed" not in seen.last
    again = see(project, TARGET, *TINY_CONFIG)
    assert again.status == 0
    assert compare_results(project, tiny) == (set(), 0)
    shown = "\n".join(again.screens)
    for words in (" jobs, ", "  train tiny-0", "  embed shapes/test, tiny-0", "  by stage: ", "  log: .snakemake/log/"):
        assert words in shown
    lines = again.last.splitlines()
    assert any(line.startswith("overtop: done, ") for line in lines)
    assert f"  {TARGET}" in lines
    assert "━" not in again.last, "the live display is gone"


def test_second_run_repeats_the_results_on_one_screen(tiny):
    seen = see(tiny, *TINY_CONFIG)
    lines = seen.last.splitlines()
    assert "overtop: Nothing to be done, the results are up to date" in lines
    assert "  results/tables/tiny.csv" in lines
    assert any(line.endswith("  R@1") for line in lines)
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS


def test_sigterm_ends_a_run_without_waiting_for_its_jobs(fresh):
    project = Project(fresh.root, forks_jobs=True)
    training = ("--config", "encoders={tiny-0: {train: {epochs: 100000}}}")
    with background_run(project, [*project.snakemake, TARGET, *TINY_CONFIG, *training]) as run:
        wait_until(run, lambda: list(project.root.glob("logs/train/*.log.progress")))
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=300) != 0
    assert not list(project.root.glob("logs/**/*.progress*"))


def test_sigterm_while_snakemake_selects_jobs_ends_the_run(fresh):
    target = "data/splits/shapes/val.parquet"
    stopped = [str(BIN / "python"), "-c", STOPPED_WHILE_SELECTING, "--cores", "2", target, *TINY_CONFIG]
    with background_run(fresh, stopped) as run:
        assert run.wait(timeout=300) != 0
    fresh.run(target, *TINY_CONFIG)
