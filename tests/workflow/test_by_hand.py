"""A rule script that is started by hand."""

import subprocess
import sys

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


def test_script_run_by_hand_writes_the_same_file(tiny, copy_of):
    project = copy_of(tiny)
    table = project.root / "results/tables/tiny.csv"
    before = table.read_bytes()
    table.unlink()
    arguments = ["scripts/table.py", "results/tables/tiny.csv", "--configfile", "tests/workflow/tiny.yaml"]
    subprocess.run([sys.executable, *arguments], cwd=project.root, check=True)
    assert table.read_bytes() == before
    assert len(pd.read_csv(table)) > 10
