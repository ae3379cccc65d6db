"""The lock of a killed run is removed, that of a live one, or of one that cannot be seen, is not."""

import errno
import os
import platform
import signal
import subprocess
import sys

import pytest

from overtop.pipeline import run_lock

HOLD = "from overtop.pipeline.run_lock import hold_folder; hold_folder(); print('held', flush=True); input()"
UNLOCK = "from overtop.pipeline.run_lock import describe_lock, remove_stale_lock; print(remove_stale_lock())"
DESCRIBE = "from overtop.pipeline.run_lock import describe_lock; print(describe_lock())"


@pytest.fixture
def locked(tmp_path):
    """A folder with the lock of a run of Snakemake on this machine."""
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("data/splits/shapes/test.parquet")
    (tmp_path / ".snakemake/run.lock").write_text(platform.node())
    return tmp_path


@pytest.fixture
def start_python(repo, locked):
    """A function that runs code in the locked folder."""
    environment = {**os.environ, "PYTHONPATH": str(repo / "scripts")}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)

    def start(code):
        return subprocess.Popen([sys.executable, "-c", code], cwd=locked, env=environment, text=True, **pipes)

    return start


def output_of(process):
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    return stdout


def is_locked(folder):
    return bool(list((folder / ".snakemake/locks").iterdir()))


def test_lock_of_killed_run_is_removed_and_that_of_a_live_one_is_not(start_python, locked):
    with start_python(HOLD) as holder:
        assert holder.stdout.readline() == "held\n"
        assert output_of(start_python(UNLOCK)) == "False\n"
        expected = f"{locked}: is in use by another run; wait until it has ended, or stop it\n"
        assert output_of(start_python(DESCRIBE)) == expected
        assert is_locked(locked)
        holder.send_signal(signal.SIGKILL)
    assert output_of(start_python(UNLOCK)) == "True\n"
    assert not is_locked(locked)


def test_lock_of_a_run_on_another_machine_is_kept_and_explained(locked):
    (locked / ".snakemake/run.lock").write_text("login7")
    for _ in range(2):
        assert not run_lock.remove_stale_lock(locked)
        assert is_locked(locked)
        message = run_lock.describe_lock(locked)
        assert "`snakemake --unlock`" in message
        assert message.endswith("(last run: login7)")


def test_folder_without_lock_is_left_as_it_is(tmp_path):
    assert not run_lock.remove_stale_lock(tmp_path)
    assert not list(tmp_path.iterdir())


def test_file_system_without_locks_neither_stops_a_run_nor_proves_that_one_was_killed(locked, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_lock.fcntl, "flock", flock)
    assert not run_lock.hold_folder(locked)
    assert not run_lock.remove_stale_lock(locked)
    assert is_locked(locked)


def test_lock_file_that_cannot_be_opened_is_no_lock_and_explained(locked, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(run_lock.os, "open", refuse)
    assert not run_lock.hold_folder(locked)
    assert not run_lock.remove_stale_lock(locked)
    assert "`snakemake --unlock`" in run_lock.describe_lock(locked)


def test_targets_of_make_are_plain_commands(repo):
    for target in ("demo", "robustness"):
        command = ["make", "--dry-run", "-o", ".venv/installed", "-o", ".venv/installed-attacks", target]
        printed = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True).stdout
        (snakemake,) = [line for line in printed.splitlines() if "snakemake" in line]
        assert snakemake.startswith(".venv/bin/snakemake -- results/"), "no option that a user would have to know"
