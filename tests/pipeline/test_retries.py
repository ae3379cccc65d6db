"""Failed jobs that are not tried again: those whose log ends with an error in the input."""

import logging
from types import SimpleNamespace

import pytest

from overtop.errors import OvertopError, UnavailableError
from overtop.pipeline.job import run
from overtop.pipeline.retries import is_permanent


@pytest.fixture
def log_of_failed(tmp_path, monkeypatch):
    """A function that runs a job which ends with an error, and returns its log."""

    def fail(error):
        def main(job):
            raise error

        # basicConfig does nothing where pytest has handlers.
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        monkeypatch.setitem(main.__globals__, "snakemake", SimpleNamespace(log=[str(tmp_path / "job.log")]))
        with pytest.raises((SystemExit, type(error))):
            run(main)
        return str(tmp_path / "job.log")

    yield fail
    logging.captureWarnings(False)


def test_an_error_in_the_input_is_permanent(log_of_failed):
    assert is_permanent([log_of_failed(OvertopError("a.png: cannot be read"))], since=0)


def test_a_bug_or_a_kill_is_not_permanent(log_of_failed, tmp_path):
    assert not is_permanent([log_of_failed(RuntimeError("CUDA out of memory"))], since=0)
    (tmp_path / "killed.log").write_text("2026-01-01 INFO overtop.embed: image 5 of 100\n")
    assert not is_permanent([str(tmp_path / "killed.log")], since=0)


def test_a_log_of_an_earlier_run_or_none_is_not_permanent(log_of_failed, tmp_path):
    log = log_of_failed(OvertopError("a.png: cannot be read"))
    assert not is_permanent([log], since=2e10)
    assert not is_permanent([str(tmp_path / "none.log")], since=0)


def test_a_server_that_does_not_answer_is_not_permanent(log_of_failed):
    log = log_of_failed(UnavailableError("connection refused"))
    assert not is_permanent([log], since=0)
