"""The table of faults: rows add up, and what is lost or silent fails the run."""

import pytest

from helpers.fault_table import format_table

pytest_plugins = ("pytester",)

TEST = """
import pytest

@pytest.mark.parametrize("number", [0, 1])
def test_flip(record_fault, number):
    record_fault("flip", tries=3, named=3 - SILENT, silent=SILENT)
"""


def test_rows_of_one_fault_are_added_up():
    rows = [("kill", 3, 3, 0, 0), ("flip", 4, 3, 0, 1), ("kill", 2, 2, 0, 0)]
    table = format_table(rows).splitlines()
    assert [line.replace(" ", "") for line in table] == [
        "|fault|tries|survivedornamed|lost|silent|",
        "|-------|----:|----------------:|----:|-----:|",
        "|flip|4|3|0|1|",
        "|kill|5|5|0|0|",
        "|**all**|**9**|**8**|**0**|**1**|",
    ]


@pytest.mark.parametrize(("workers", "silent"), [((), 1), (("-n", "1"), 0)])
def test_run_ends_with_table_and_fails_on_silent_faults(pytester, monkeypatch, repo, workers, silent):
    monkeypatch.setenv("OVERTOP_FAULTS_REPORT", "faults.md")
    monkeypatch.setenv("PYTHONPATH", str(repo / "tests"))
    pytester.makepyfile(TEST.replace("SILENT", str(silent)))
    result = pytester.runpytest("-p", "helpers.fault_table", *workers)
    row = f"| flip    |     6 |                 {6 - 2 * silent} |     0 |      {2 * silent} |"
    result.stdout.fnmatch_lines([row])
    assert result.ret == silent
    assert row in (pytester.path / "faults.md").read_text()
