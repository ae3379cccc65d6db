"""A plugin of pytest: tests that provoke faults record what became of them, and the run ends with one table of all.

With xdist, rows travel in the reports of the tests. The table is also written to the file that the variable
OVERTOP_FAULTS_REPORT names.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

REPORT_VARIABLE = "OVERTOP_FAULTS_REPORT"

COLUMNS = ("fault", "tries", "survived or named", "lost", "silent")

Row = tuple[str, int, int, int, int]
"""A fault, and the numbers of tries, of survived or named ones, of lost files, and of silently wrong values."""

_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def record_fault(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """A function that adds a row to the table of faults, and fails the test if anything was lost or silently wrong."""

    def record(fault: str, tries: int, named: int, lost: int = 0, silent: int = 0) -> None:
        record_property("fault", [fault, tries, named, lost, silent])
        assert tries > 0, f"{fault}: never provoked"
        assert (lost, silent) == (0, 0), f"{fault}: {lost} lost, {silent} silently wrong of {tries}"
        assert named == tries, f"{fault}: {tries - named} of {tries} neither survived nor named"

    return record


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []
    config.pluginmanager.register(_Collector(config.stash[_ROWS]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[_ROWS]
    if not rows:
        return
    table = format_table(rows)
    terminalreporter.section("faults")
    terminalreporter.write(table)
    if path := os.environ.get(REPORT_VARIABLE):
        Path(path).write_text(f"# Faults that were provoked, and what became of them\n\n{table}", encoding="utf-8")


def format_table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table, sorted, rows of one fault added up, with a last row of sums."""
    sums: dict[str, list[int]] = {}
    for fault, *counts in rows:
        sums[fault] = [a + b for a, b in zip(sums.get(fault, [0] * 4), counts, strict=True)]
    lines = [(fault, *map(str, counts)) for fault, counts in sorted(sums.items())]
    lines.append(("**all**", *(f"**{sum(column)}**" for column in zip(*sums.values(), strict=True))))
    widths = [max(map(len, column)) for column in zip(COLUMNS, *lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(f"| {' | '.join(_align(line, widths))} |\n" for line in (COLUMNS, rule, *lines))


def _align(cells: Iterable[str], widths: list[int]) -> list[str]:
    return [
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]


class _Collector:
    """Collects the rows from the reports of tests, in the process that prints the table."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._rows.extend(tuple(value) for name, value in report.user_properties if name == "fault")
