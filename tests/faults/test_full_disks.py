"""Full and read-only disks: the error names the cause, what was there stays, and the same command resumes the run."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.fault_writers import WRITERS
from helpers.interrupted_runs import RUN_RESULTS, TARGET, compare_results
from helpers.pipeline import ENVIRONMENT, TINY_CONFIG, Project, copy_project

pytestmark = pytest.mark.slow


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk in memory at a folder; the test is skipped for users who may not."""
    folder.mkdir(parents=True, exist_ok=True)
    if mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder)).returncode != 0:
        pytest.skip("mounting a small disk needs the rights of root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def mount(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run mount."""
    return subprocess.run(["mount", *arguments], capture_output=True, check=False)


def write_without_space(repo: Path, folder: Path, kind: str) -> dict[str, int]:
    """Return what became of a write of each writer."""
    script = repo / "tests" / "helpers" / "full_disk.py"
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{repo / 'tests'}:{repo / 'scripts'}"}
    command = [sys.executable, str(script), str(folder), kind]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


def record_writers(record_fault, fault: str, outcomes: dict[str, int]) -> None:
    bad = {outcome for outcome in outcomes if not outcome.endswith(": named")}
    lost = sum(outcome.endswith(": lost") for outcome in bad)
    record_fault(fault, tries=len(WRITERS), named=len(outcomes) - len(bad), lost=lost)


def test_writers_beyond_limit_name_it_and_keep_old_file(repo, tmp_path, record_fault):
    record_writers(record_fault, "limit of file size: all writers", write_without_space(repo, tmp_path, "limit"))


def test_writers_on_full_disk_name_it_and_keep_old_file(repo, tmp_path, record_fault):
    with small_disk(tmp_path / "disk", "40m"):
        outcomes = write_without_space(repo, tmp_path / "disk", "disk")
    record_writers(record_fault, "full disk: all writers", outcomes)


@pytest.fixture
def project(repo, tmp_path) -> Project:
    root = copy_project(repo, tmp_path / "project").root
    return Project(root, forks_jobs=True)


@pytest.mark.faults
@pytest.mark.parametrize(("folder", "size"), [("results", "100k"), ("results", "300k"), ("data", "1m"), ("data", "9m")])
def test_run_on_full_disk_is_resumed(tiny, project, record_fault, folder, size):
    with small_disk(project.root / folder, size):
        run = project.run(TARGET, *TINY_CONFIG, check=False)
        assert run.returncode != 0
        output = run.stdout + run.stderr
        assert "no space left on the disk" in output
        assert "Traceback" not in output
        wrong, _ = compare_results(project, tiny)
        assert mount("-o", "remount,size=50m", str(project.root / folder)).returncode == 0
        project.run(TARGET, *TINY_CONFIG)
        wrong_later, lost = compare_results(project, tiny)
    silent = len(wrong | wrong_later)
    record_fault(f"full disk: {folder}", tries=1, named=int(not lost and not silent), lost=lost, silent=silent)


@pytest.mark.faults
def test_read_only_results_stay_as_they_are(tiny, project, record_fault):
    project.run("data/splits/shapes/test.parquet", *TINY_CONFIG)
    with small_disk(project.root / "results", "50m"):
        assert mount("-o", "remount,ro", str(project.root / "results")).returncode == 0
        before = project.read_files(*RUN_RESULTS)
        assert project.run(TARGET, *TINY_CONFIG, check=False).returncode != 0
        after = project.read_files(*RUN_RESULTS)
        changed = {name for name in before if before[name] != after.get(name)}
        assert mount("-o", "remount,rw", str(project.root / "results")).returncode == 0
        project.run(TARGET, *TINY_CONFIG)
        wrong, lost = compare_results(project, tiny)
    silent = len(wrong | changed)
    record_fault("read-only folder: results", tries=1, named=int(not lost and not silent), lost=lost, silent=silent)
