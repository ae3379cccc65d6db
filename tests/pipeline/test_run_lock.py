"""The lock of a killed run is removed, that of a live one is not."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from overtop.pipeline import run_lock

HOLD = "from overtop.pipeline.run_lock import hold_folder; hold_folder(); print('held', flush=True); input()"
UNLOCK = "from overtop.pipeline.run_lock import remove_stale_lock; remove_stale_lock()"


@pytest.fixture
def run_python(repo, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(repo / "scripts")}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    (tmp_path / "folder").mkdir()

    def run(code):
        command = [sys.executable, "-c", code]
        return subprocess.Popen(command, cwd=tmp_path / "folder", env=environment, text=True, **pipes)

    return run


def test_lock_of_killed_run_is_removed_with_one_line(run_python, tmp_path):
    locks = tmp_path / "folder" / ".snakemake" / "locks"
    holder = run_python(HOLD)
    assert holder.stdout.readline() == "held\n"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("data/splits/shapes/test.parquet")
    refused = run_python(UNLOCK)
    _, message = refused.communicate()
    assert refused.returncode == 1
    folder = tmp_path / "folder"
    assert message == f"overtop: {folder}: is in use by another run; wait until it has ended, or stop it\n"
    assert list(locks.iterdir())
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    unlocked = run_python(UNLOCK)
    _, message = unlocked.communicate()
    assert unlocked.returncode == 0
    assert message == f"overtop: removed the lock that a killed run left in {folder}\n"
    assert not list(locks.iterdir())


def test_folder_without_lock_is_left_as_it_is(run_python, tmp_path):
    process = run_python(UNLOCK)
    assert process.communicate() == ("", "")
    assert process.returncode == 0
    assert not list((tmp_path / "folder").iterdir())


def test_file_system_without_locks_does_not_stop_a_run(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_lock.fcntl, "flock", flock)
    run_lock.hold_folder(tmp_path)


def test_targets_of_make_remove_stale_locks_only(repo):
    assert "--unlock" not in (repo / "Makefile").read_text()
    for target in ("demo", "robustness"):
        command = ["make", "--dry-run", "-o", ".venv/installed", "-o", ".venv/installed-attacks", target]
        printed = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True).stdout
        assert printed.index("remove_stale_lock()") < printed.index("snakemake --cores all")
