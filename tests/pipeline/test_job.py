import subprocess
import sys
from types import SimpleNamespace

import pytest

from overtop.errors import OvertopError
from overtop.pipeline import job

SCRIPT = """
from types import SimpleNamespace
from overtop.errors import OvertopError
from overtop.pipeline.job import run
snakemake = SimpleNamespace(log=[{log!r}])
def main(job):
    {body}
run(main)
"""


def run_script(tmp_path, body):
    """Run a rule script with that main in its own process, because logging is configured once per process."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(log=str(tmp_path / "deep" / "x.log"), body=body)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )


def test_user_error_is_printed_as_one_line(tmp_path):
    result = run_script(tmp_path, "raise OvertopError('config.yaml: seed: not a number')")
    assert result.returncode == 1
    assert result.stderr == "overtop: config.yaml: seed: not a number\n"
    assert "not a number" in (tmp_path / "deep" / "x.log").read_text()


def test_bug_keeps_traceback_in_terminal_and_log(tmp_path):
    result = run_script(tmp_path, "1 / 0")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError" in (tmp_path / "deep" / "x.log").read_text()


def test_warnings_are_logged_and_not_printed(tmp_path):
    result = run_script(tmp_path, "import warnings; warnings.warn('look here')")
    assert (result.returncode, result.stderr) == (0, "")
    assert "look here" in (tmp_path / "deep" / "x.log").read_text()


def test_main_receives_the_job_of_snakemake(tmp_path, monkeypatch):
    jobs = []

    def main(received):
        jobs.append(received)

    expected = SimpleNamespace(log=[str(tmp_path / "x.log")])
    monkeypatch.setitem(main.__globals__, "snakemake", expected)
    job.run(main)
    assert jobs == [expected]


def test_user_error_ends_the_process(tmp_path, monkeypatch):
    def main(received):
        raise OvertopError("no")

    monkeypatch.setitem(main.__globals__, "snakemake", SimpleNamespace(log=[str(tmp_path / "x.log")]))
    with pytest.raises(SystemExit):
        job.run(main)
