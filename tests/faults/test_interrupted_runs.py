"""Runs that are killed, stopped or doubled: the same command completes them, with the bytes of an undisturbed run."""

import os
import random
import signal
import subprocess
import time

import pytest

from helpers.interrupted_runs import (
    TARGET,
    background_run,
    compare_results,
    job_of,
    kill_group,
    recover,
    wait_for_files,
    wait_until,
)
from helpers.pipeline import BIN, ENVIRONMENT, TINY_CONFIG, Project, copy_project

pytestmark = pytest.mark.slow

FILES = 14
"""Files that a run has made shortly before its end."""

INTERRUPTIONS = {
    "kill -9 of Snakemake and its jobs": kill_group,
    "kill -9 of Snakemake, its jobs live on": lambda run: run.kill(),
    "SIGTERM to Snakemake": lambda run: run.terminate(),
    "SIGINT to Snakemake": lambda run: run.send_signal(signal.SIGINT),
    "Ctrl-C": lambda run: os.killpg(run.pid, signal.SIGINT),
}


@pytest.fixture
def start(repo, tmp_path):
    """A function that makes a project without results."""

    def copy(number: int = 0, *, forks_jobs: bool = True) -> Project:
        return Project(copy_project(repo, tmp_path / f"run {number}").root, forks_jobs)

    return copy


def command(project: Project) -> list[str]:
    return [*project.snakemake, TARGET, *TINY_CONFIG]


def assert_as_undisturbed(project, tiny, record_fault, fault):
    wrong, lost = compare_results(project, tiny)
    assert not [path for path in project.root.glob("[dr]*/**/.*") if ".tmp" in path.name], "temporary files are left"
    record_fault(fault, tries=1, named=int(not wrong and not lost), lost=lost, silent=len(wrong))


@pytest.mark.faults
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("fault", INTERRUPTIONS)
def test_interrupted_run_is_completed(tiny, start, record_fault, fault, number):
    draw = random.Random(f"{fault} {number}")
    project = start(number)
    with background_run(project, command(project)) as run:
        wait_for_files(project, run, draw.randrange(1, FILES))
        time.sleep(draw.uniform(0, 1))
        INTERRUPTIONS[fault](run)
        assert run.wait() != 0, "the run was not interrupted"
        recover(project)  # beside the jobs that live on
    assert_as_undisturbed(project, tiny, record_fault, fault)


@pytest.mark.parametrize(
    ("script", "seconds"),
    [
        ("embed.py", 3),
        pytest.param("train.py", 3, marks=pytest.mark.faults),
        pytest.param("rank.py", 1, marks=pytest.mark.faults),
    ],
)
def test_run_with_killed_job_is_completed(tiny, start, record_fault, script, seconds):
    project = start(forks_jobs=False)
    with background_run(project, command(project)) as run:
        wait_until(run, lambda: job_of(project, script))
        time.sleep(random.Random(script).uniform(0, seconds))
        os.kill(job_of(project, script), signal.SIGKILL)
        assert run.wait() != 0
    recover(project)
    assert_as_undisturbed(project, tiny, record_fault, "kill -9 of a job")


@pytest.mark.faults
@pytest.mark.parametrize("unlock", [False, True], ids=["as it is", "unlocked by hand"])
def test_second_run_in_a_folder_is_refused(tiny, start, record_fault, unlock):
    project = start()
    with background_run(project, command(project)) as run:
        wait_for_files(project, run, 2)
        os.killpg(run.pid, signal.SIGSTOP)  # else it may end before the second one starts
        if unlock:
            project.run(TARGET, *TINY_CONFIG, "--unlock")
        second = project.run(TARGET, *TINY_CONFIG, check=False)
        os.killpg(run.pid, signal.SIGCONT)
        assert second.returncode != 0
        assert "is in use by another run" in second.stderr
        assert run.wait() == 0
    assert_as_undisturbed(project, tiny, record_fault, "second run in a folder")


@pytest.mark.faults
@pytest.mark.parametrize("number", range(2))
def test_killed_dvc_run_is_completed(tiny, start, record_fault, number):
    project = start(number)
    stages = project.root / "dvc.yaml"
    tiny_command = f"snakemake --cores 2 {TARGET} {' '.join(TINY_CONFIG)}"
    assert "snakemake --cores all\n" in stages.read_text()
    stages.write_text(stages.read_text().replace("snakemake --cores all\n", f"{tiny_command}\n"))
    for arguments in (["init"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "a"]):
        subprocess.run(["git", *arguments], cwd=project.root, capture_output=True, check=True)
    repro = [str(BIN / "dvc"), "repro"]
    with background_run(project, repro) as run:
        wait_for_files(project, run, random.Random(number).randrange(1, FILES))
        kill_group(run)
    again = subprocess.run(repro, cwd=project.root, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert_as_undisturbed(project, tiny, record_fault, "kill -9 of dvc repro")
