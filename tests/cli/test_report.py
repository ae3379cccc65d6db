import warnings

import pandas as pd
import pytest

from overtop.cli import report
from overtop.confidence.answering import COLUMNS

LONG = "photographs/2024/summer/holidays/beach/IMG_20240801_120000.jpg"


@pytest.fixture
def answers():
    rows = [
        ("a red circle", "17", 0.31234, 2.4e-8, 0.994, True, ""),
        (LONG, LONG, 0.2, 0.5, 0.5, False, "similarity 0.200 is below that of all of the labelled queries"),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize("width", [80, 120])
def test_first_rows_fit_the_width(answers, width):
    lines = report.format_first_rows(answers, width).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    assert lines[0].split()[:6] == COLUMNS[:6]
    assert lines[1].split()[-5:] == ["17", "0.312", "2.4e-08", "0.99", "yes"]
    assert lines[2].startswith("photographs/2")
    assert lines[2].count("...") >= 2


def test_column_of_warnings_is_shown_if_a_row_has_one(answers):
    assert "similarity 0.200 is" in report.format_first_rows(answers, 120)
    assert "warning" not in report.format_first_rows(answers.head(1), 120)
    assert "warning" not in report.format_first_rows(answers, 80)


def test_rows_end_without_blanks(answers):
    text = report.format_first_rows(answers.assign(warning=""), 120)
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_only_the_first_rows_are_shown(answers):
    many = pd.concat([answers] * 10, ignore_index=True)
    assert len(report.format_first_rows(many, 100).splitlines()) == 1 + report.FIRST_ROWS


@pytest.mark.parametrize("columns", ["60", "80", "300"])
def test_lines_continue_indented_at_the_width_of_the_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    report.print_lines(["word " * 100, "short"])
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert len(first) <= min(int(columns), report.LARGEST_WIDTH)
    assert second.startswith("  word")
    assert last == "short"


def test_warnings_are_printed_once_and_others_are_left_alone(capsys):
    with report.warnings_in_one_line():
        warnings.warn("too few labels", stacklevel=1)
        warnings.warn("too few labels", stacklevel=1)
        warnings.warn("old function", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: too few labels\n"


def test_warnings_are_not_printed_before_an_error(capsys):
    def warn_and_fail():
        with report.warnings_in_one_line():
            warnings.warn("too few labels", stacklevel=1)
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        warn_and_fail()
    assert capsys.readouterr().err == ""
