import pytest

from overtop.screen.snakemake_text import count_reasons, error_lines, exit_status, killed_by


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'WorkflowError in file "/w/workflow/rules/common.smk", line 24:\n\n'
            "config.yaml: a: wrong\nconfig.yaml: b: wrong\n"
            '  File "/w/workflow/Snakefile", line 24, in <module>',
            ["config.yaml: a: wrong", "config.yaml: b: wrong"],
        ),
        (
            'InputFunctionException in rule table in file "/w/workflow/rules/results.smk", line 1:\nError:\n'
            "  WorkflowError:\n    config.yaml: tables has no 'dmeo'\nWildcards:\n  table=dmeo\nTraceback:\n"
            '  File "/w/workflow/rules/results.smk", line 13, in x',
            ["config.yaml: tables has no 'dmeo'"],
        ),
        (
            'InputFunctionException in rule x in file "x.smk", line 1:\nError:\n  OvertopError: mine.yaml: a: wrong\n'
            "Wildcards:\n  answer=mine",
            ["mine.yaml: a: wrong"],
        ),
        ("Error: cores have to be specified", ["Error: cores have to be specified"]),
        ("WorkflowError:", ["WorkflowError:"]),
    ],
)
def test_error_is_left_of_the_text_of_an_exception(text, expected):
    assert error_lines(text) == expected


@pytest.mark.parametrize(
    ("text", "status", "signal"),
    [
        ("Command 'python x.py' returned non-zero exit status 1.", "1", ""),
        ("Command 'python x.py' returned non-zero exit status 137.", "137", "SIGKILL"),
        ("Command 'python x.py' died with <Signals.SIGINT: 2>.", "SIGINT", "SIGINT"),
    ],
)
def test_end_of_a_process_is_read(text, status, signal):
    assert exit_status(f"RuleException:\nCalledProcessError in file x, line 1:\n{text}") == status
    assert killed_by(status) == signal


def test_error_of_another_kind_has_no_status():
    assert exit_status("MissingOutputException: Job 3 completed successfully, but some files are missing") is None


def test_reasons_are_counted_in_our_words():
    reasons = [
        "Missing output files: a, b; Input files updated by another job: c",
        "Input files updated by another job: c; Params have changed since last execution: seed",
        "something new",
    ]
    assert count_reasons(reasons) == {
        "output is missing": 1,
        "its input is made again": 1,
        "a setting changed": 1,
        "something new": 1,
    }
