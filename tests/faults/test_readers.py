"""Damaged, strange and hostile files of others: every reader names the file, or reads something right.

A process of bounded memory reads each file (`helpers.reader_guard`). What a format with checksums accepts must be what
the undamaged file has. Formats without (CSV, JSON lines, tar, BMP, `.npy`) accept any valid content: there a changed
letter is another text, not a damaged one, and only the record of what was fetched can tell.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.reader_guard import GROWTH

TIMEOUT = 900
"""Seconds for a group of readers: a native library that hangs is not interrupted by the alarm of the process."""

BAD = ("silent", "traceback", "memory", "hang", "escape")

LONG = pytest.mark.faults


def run_guard(repo: Path, group: str, seed: int, cases: int) -> dict[str, dict[str, Any]]:
    """Return the outcomes of a group of readers in a process of its own."""
    path = os.pathsep.join([str(repo / "scripts"), str(repo / "tests")])
    result = subprocess.run(
        [sys.executable, "-m", "helpers.reader_guard", group, str(seed), str(cases)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, f"the process died with {result.returncode}: {result.stderr[-3000:]}"
    return json.loads(result.stdout)


def report(results: dict[str, dict[str, Any]], title: str, record_fault) -> None:
    """Fail with the examples of all bad outcomes, or add one row for each reader to the table of faults."""
    bad = [f"{name}: {result}" for name, result in results.items() if any(result.get(outcome) for outcome in BAD)]
    assert not bad, "\n".join(bad)
    for name, result in results.items():
        assert result["growth"] <= GROWTH, f"{name}: {result['growth']:,} bytes of memory"
        count = result.get("named", 0) + result.get("accepted", 0)
        record_fault(title.format(name), tries=count, named=count)


@pytest.mark.parametrize(
    ("group", "seed", "cases"),
    [
        ("files", 1, 40),
        ("images", 1, 40),
        ("weights", 1, 25),
        pytest.param("files", 2, 1500, marks=LONG),
        pytest.param("images", 2, 1500, marks=LONG),
        pytest.param("weights", 2, 500, marks=LONG),
    ],
)
def test_damaged_file_is_named_or_read_rightly(repo, record_fault, group, seed, cases):
    report(run_guard(repo, group, seed, cases), "damaged input, {}", record_fault)


@LONG
def test_bomb_and_pickle_are_named_within_bounds(repo, record_fault):
    results = run_guard(repo, "bombs", 0, 1)
    assert {name for name, result in results.items() if not result.get("named")} == set(), results
    report(results, "bomb, {}", record_fault)
