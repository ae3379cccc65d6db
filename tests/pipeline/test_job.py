import subprocess
import sys
from types import SimpleNamespace

import pytest

from overtop.errors import OvertopError
from overtop.pipeline.job import run


def _in_its_own_process(tmp_path, body):
    """Logging is set up once in a process: a job is one."""
    code = (
        "from types import SimpleNamespace\nfrom overtop.errors import OvertopError\nfrom overtop.pipeline.job import run\n"
        f"def main(job):\n    {body}\n"
        f"run(main, SimpleNamespace(log=[{str(tmp_path / 'deep' / 'x.log')!r}]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )


def test_a_mistake_of_the_users_is_one_line(tmp_path):
    result = _in_its_own_process(tmp_path, "raise OvertopError('config.yaml: seed: mend it')")
    assert result.returncode == 1
    assert result.stderr == "overtop: config.yaml: seed: mend it\n"
    assert "mend it" in (tmp_path / "deep" / "x.log").read_text()


def test_a_bug_keeps_its_traceback_in_terminal_and_log(tmp_path):
    result = _in_its_own_process(tmp_path, "1 / 0")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError" in (tmp_path / "deep" / "x.log").read_text()


def test_the_work_is_done_and_warnings_are_logged(tmp_path):
    result = _in_its_own_process(tmp_path, "import warnings; warnings.warn('look here')")
    assert (result.returncode, result.stderr) == (0, "")
    assert "look here" in (tmp_path / "deep" / "x.log").read_text()


def test_the_job_is_handed_over(tmp_path):
    seen = []
    run(seen.append, SimpleNamespace(log=[str(tmp_path / "x.log")]))
    assert len(seen) == 1
    with pytest.raises(SystemExit):
        run(_fail, SimpleNamespace(log=[str(tmp_path / "x.log")]))


def _fail(job):
    raise OvertopError("no")
