"""Runs in the background, to be killed or stopped at some point of their progress, and what comes of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers.pipeline import ENVIRONMENT, TINY_CONFIG, Project

TARGET = "results/metrics/shapes/test/tiny.parquet"
"""What interrupted runs make: everything up to the metrics of one posterior."""

RUN_RESULTS = (
    "data/sources/**/*.json",
    "data/splits/**/*.parquet",
    "data/encoders/*.safetensors",
    *(f"results/{folder}/**/*.*" for folder in ("embeddings", "rankings", "radii", "scores", "metrics", "curves")),
)
"""The files that a run makes, of which progress is counted."""

_SECONDS = 500.0
"""Time after which a run that makes no progress fails the test."""

Run = subprocess.Popen[bytes]


@contextmanager
def background_run(project: Project, command: Sequence[str]) -> Iterator[Run]:
    """Run a command in a process group of its own, whose processes are killed at the end, whatever became of it."""
    run = subprocess.Popen(
        command,
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    try:
        yield run
    finally:
        kill_group(run)


def kill_group(run: Run) -> None:
    """Kill a run with all its jobs."""
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def wait_for_files(project: Project, run: Run, number: int) -> None:
    """Wait until a run has made that many files; those that it is writing do not count."""

    def has_made_them() -> bool:
        paths = [path for pattern in RUN_RESULTS for path in project.root.glob(pattern)]
        return sum(not path.name.startswith(".") for path in paths) >= number

    wait_until(run, has_made_them)


def wait_until(run: Run, condition: Callable[[], object]) -> None:
    """Wait until a condition holds while a run goes on."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert run.poll() is None, "the run has ended before it was interrupted"
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.02)


def job_of(project: Project, script: str) -> int | None:
    """The number of the process that runs a rule script in a project, if there is one."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_here = (process / "cwd").readlink() == project.root
            if is_here and f".{script}\0".encode() in (process / "cmdline").read_bytes():
                return int(process.name)
    return None


def recover(project: Project) -> None:
    """Run the same command again, as the documentation has it."""
    project.run(TARGET, *TINY_CONFIG)


def compare_results(project: Project, undisturbed: Project) -> tuple[set[str], int]:
    """Return the files that differ from those of an undisturbed run, or are left over; and whether the target lacks."""
    expected = undisturbed.read_files(*RUN_RESULTS)
    made = project.read_files(*RUN_RESULTS)
    wrong = {name for name, content in made.items() if content != expected.get(name)}
    return wrong, int(TARGET not in made)
