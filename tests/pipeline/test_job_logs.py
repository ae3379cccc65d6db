"""Logs are written by `pipeline.job.run`, so that both sides agree."""

import logging
import os
import warnings
from contextlib import suppress
from types import SimpleNamespace

import pytest

from overtop.errors import OvertopError, UnavailableError
from overtop.pipeline.job import run
from overtop.pipeline.job_logs import Cause, find_cause, find_warnings, is_permanent, read_end

PROBLEM = "a.h5: is not shard 0 of 2; delete it and rebuild"


@pytest.fixture
def log_of(tmp_path, monkeypatch):
    """A function that runs a job and returns the lines of its log."""

    def log(main):
        # basicConfig does nothing where pytest has handlers.
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        monkeypatch.setitem(main.__globals__, "snakemake", SimpleNamespace(log=[str(tmp_path / "job.log")]))
        with suppress(Exception, SystemExit, KeyboardInterrupt):
            run(main)
        return read_end(tmp_path / "job.log", since=0)

    yield log
    logging.captureWarnings(False)


def raise_error(error):
    def main(job):
        logging.getLogger("overtop.encoders").warning("3 captions were truncated")
        raise error

    return main


@pytest.mark.parametrize("kind", [OvertopError, UnavailableError])
def test_reported_error_is_the_cause(log_of, kind):
    assert find_cause(log_of(raise_error(kind(PROBLEM)))) == Cause([PROBLEM], is_explained=True)


def test_unexpected_exception_is_the_cause_with_its_traceback(log_of):
    cause = find_cause(log_of(raise_error(RuntimeError("CUDA out of memory"))))
    assert not cause.is_explained
    assert cause.lines[0] == "Traceback (most recent call last):"
    assert cause.lines[-1] == "RuntimeError: CUDA out of memory"


def test_interrupted_or_killed_job_has_no_cause(log_of):
    assert find_cause(log_of(raise_error(KeyboardInterrupt()))) is None
    assert find_cause(["2026-01-01 00:00:00,000 INFO overtop.embed: image 5 of 100"]) is None
    assert find_cause([]) is None


def test_only_warnings_of_the_project_are_found(log_of):
    def main(job):
        logging.getLogger("overtop.encoders").warning("3 captions were truncated")
        logging.getLogger("overtop.encoders").info("loaded")
        logging.getLogger("timm").warning("deprecated")
        warnings.warn("numpy is old", UserWarning, stacklevel=1)

    assert find_warnings(log_of(main)) == ["3 captions were truncated"]


def test_every_line_of_an_error_is_a_cause(log_of):
    assert find_cause(log_of(raise_error(OvertopError("a: wrong\nb: wrong")))).lines == ["a: wrong", "b: wrong"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OvertopError(PROBLEM), True),
        (OvertopError(f"{PROBLEM}\nand a second line"), True),
        (UnavailableError("connection refused"), False),
        (RuntimeError("CUDA out of memory"), False),
    ],
)
def test_only_an_error_in_the_input_is_permanent(log_of, tmp_path, error, expected):
    log_of(raise_error(error))
    log = str(tmp_path / "job.log")
    assert is_permanent([log], since=0) == expected
    assert not is_permanent([log], since=2e10), "a log of an earlier run"


def test_killed_job_or_one_without_log_is_not_permanent(tmp_path):
    (tmp_path / "killed.log").write_text("2026-01-01 00:00:00,000 INFO overtop.embed: image 5 of 100\n")
    assert not is_permanent([str(tmp_path / "killed.log"), str(tmp_path / "none.log")], since=0)


def test_log_of_an_earlier_run_is_not_read(tmp_path):
    (tmp_path / "job.log").write_text("line\n")
    os.utime(tmp_path / "job.log", (1000, 1000))
    assert read_end(tmp_path / "job.log", since=1001) == []
    assert read_end(tmp_path / "job.log", since=999) == ["line"]
    assert read_end(tmp_path / "none.log", since=0) == []
