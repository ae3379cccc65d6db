"""A writer that is killed leaves the old or the new whole file; so do two writers of one file."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from helpers import kill_writers
from helpers.fault_writers import WRITERS
from helpers.pipeline import ENVIRONMENT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.faults)])
def test_killed_writer_leaves_whole_files(repo, tmp_path, record_fault, kills):
    script = repo / "tests" / "helpers" / "kill_writers.py"
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{repo / 'tests'}:{repo / 'scripts'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path), str(kills), str(kills)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = {name: Counter(counts) for name, counts in json.loads(run.stdout).items()}
    assert len(found) == 2 * len(WRITERS)
    assert sum(counts.pop("in mid-write", 0) for counts in found.values()) > len(WRITERS)
    for name, counts in found.items():
        which, what = name.split(" ", 1)
        fault = f"kill -9 of a writer: {what}" if which == "one" else f"two writers, one killed in half: {what}"
        whole, partial, missing = (counts.pop(state, 0) for state in ("whole", "partial", "missing"))
        record_fault(fault, tries=kills, named=whole, lost=partial + missing)
        assert not counts, f"{fault}: {dict(counts)}"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"a": b"old"}, "whole"),
        ({"a": b"new"}, "whole"),
        ({"a": b"ne"}, "partial"),
        ({}, "missing"),
        ({"a": {"b": b"old"}}, "partial"),
    ],
)
def test_partial_file_is_noticed(found, expected):
    states = [{"a": b"old"}, {"a": b"new"}]
    assert kill_writers.judge(found, states[0], states, grows=False) == expected
