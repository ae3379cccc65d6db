"""Records as Snakemake logs them, and the lines off a terminal that come of them."""

import fcntl
import logging
import os
import struct
import subprocess
import sys
import termios

import pytest

from overtop.screen.output import Output
from overtop.screen.screen import Screen

LOG = "snakemake.log"


@pytest.fixture
def make_screen(tmp_path, monkeypatch):
    """A function that makes a screen, and one that returns the lines that it has written."""
    monkeypatch.chdir(tmp_path)

    def make(**options):
        with open("output.txt", "wb") as file:
            output = Output(file.fileno(), color=True)
        screen = Screen(output, str, **{"is_dry_run": False, "shows": "everything"} | options)
        return screen, lambda: (tmp_path / "output.txt").read_text().splitlines()

    return make


def send(screen, text="", event=None, level=logging.INFO, **fields):
    record = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    vars(record).update(fields, event=event)
    screen.handle(record)


def start_run(screen, **totals):
    send(screen, event="workflow_started")
    send(screen, event="run_info", stats={**totals, "total": sum(totals.values())})


def start_job(screen, number, rule="embed", log="job.log", reason=""):
    wildcards = {"dataset": "shapes", "split": f"part{number}"}
    send(screen, event="job_info", jobid=number, rule_name=rule, wildcards=wildcards, log=[log], reason=reason)


def fail_job(screen, number, log=("job.log",)):
    send(screen, event="job_error", level=logging.ERROR, jobid=number, log=list(log), rule_msg=None)


def refuse(message, name="job.log"):
    with open(name, "w") as file:
        file.write(f"2026-01-01 00:00:00,000 ERROR overtop.refused: {message}\n")


def test_each_job_is_a_line_and_snakemakes_talk_is_none(make_screen):
    screen, lines = make_screen()
    screen.describe_results = lambda: ["  results/tables/demo.csv"]
    send(screen, "Building DAG of jobs...")
    start_run(screen, embed=2)
    send(screen, "Select jobs to execute...")
    for number in (1, 2):
        start_job(screen, number)
        send(screen, event="job_finished", job_id=number)
    send(screen, "None", event="progress", done=2, total=2)
    send(screen, "Complete log(s): x")
    send(screen, "Elapsed time: 0:00:01")
    screen.close()
    screen.close()
    assert lines()[0].startswith("overtop: 2 jobs: embed 2; log: ")
    assert lines()[1].startswith("[1/2] embed shapes/part1, 0")
    assert lines()[2].startswith("[2/2] embed shapes/part2, 0")
    assert lines()[3].startswith("overtop: done, 2 jobs in 0")
    assert lines()[4:] == ["  results/tables/demo.csv"]


def test_failed_job_is_told_once_with_its_error_and_its_log(make_screen):
    screen, lines = make_screen()
    start_run(screen, embed=1, rank=1)
    start_job(screen, 1)
    refuse("a.png: cannot be read; replace it")
    send(
        screen,
        "returned non-zero exit status 1.",
        "error",
        logging.ERROR,
        exception="RuleException",
    )
    fail_job(screen, 1)
    send(screen, "Exiting because a job execution failed. Look below", level=logging.ERROR)
    text = "WorkflowError:\nAt least one job did not complete successfully."
    send(screen, text, "error", logging.ERROR, exception="WorkflowError")
    screen.close()
    assert lines()[1:3] == ["overtop: a.png: cannot be read; replace it", "  in embed shapes/part1; log: job.log"]
    assert lines()[3].startswith("overtop: stopped after 0 of 2 jobs in ")
    assert len(lines()) == 4


def test_killed_job_is_told_with_the_likely_reason(make_screen):
    screen, lines = make_screen()
    start_run(screen, embed=1)
    start_job(screen, 1)
    send(screen, "Command 'x' returned non-zero exit status 137.", "error", logging.ERROR, exception="RuleException")
    fail_job(screen, 1, log=("job.log", "slurm.log"))
    screen.close()
    reason = "it was killed (SIGKILL), often because the machine ran out of memory"
    assert lines()[1].startswith(f"overtop: embed shapes/part1: {reason}")
    assert lines()[2] == "  in embed shapes/part1; log: job.log, slurm.log"


def test_job_that_succeeds_at_its_second_try_is_a_warning(make_screen):
    screen, lines = make_screen()
    start_run(screen, embed=1)
    start_job(screen, 1)
    refuse("no answer")
    fail_job(screen, 1)
    send(screen, "Trying to restart job 1.")
    start_job(screen, 1)
    send(screen, event="job_finished", job_id=1)
    send(screen, "Elapsed time: 0:00:01")
    screen.close()
    assert lines()[1] == "warning: embed shapes/part1 failed and is tried again: no answer"
    assert lines()[2].startswith("[1/1] embed")
    assert lines()[3].startswith("overtop: done")


def test_error_that_stops_no_job_does_not_hide_the_results(make_screen):
    screen, lines = make_screen()
    screen.describe_results = lambda: ["  table"]
    start_run(screen, embed=1)
    start_job(screen, 1)
    send(screen, "Could not delete logfile a.log", level=logging.ERROR)
    send(screen, event="job_finished", job_id=1)
    send(screen, "Elapsed time: 0:00:01")
    screen.close()
    assert lines()[2] == "warning: Could not delete logfile a.log"
    assert lines()[3].startswith("overtop: done, 1 job in ")
    assert lines()[4:] == ["  table"]


def test_interruption_is_one_line(make_screen):
    screen, lines = make_screen()
    start_run(screen, embed=2)
    for number in (1, 2):
        start_job(screen, number)
    send(screen, "Command 'x' died with <Signals.SIGINT: 2>.", "error", logging.ERROR, exception="RuleException")
    fail_job(screen, 1)
    send(screen, "Terminating processes on user request, this might take some time.")
    fail_job(screen, 2)
    text = "WorkflowError:\nAt least one job did not complete successfully."
    send(screen, text, "error", logging.ERROR, exception="WorkflowError")
    screen.close()
    (line,) = lines()[1:]
    assert line.startswith("overtop: interrupted; run the same command to continue (0 of 2 jobs in ")


def test_wrong_configuration_is_its_lines_only(make_screen):
    screen, lines = make_screen()
    text = 'WorkflowError in file "x.smk", line 24:\n\nconfig.yaml: a: wrong\n  File "x.smk", line 24, in <module>'
    send(screen, text, "error", logging.ERROR, exception="WorkflowError")
    screen.close()
    assert lines() == ["overtop: config.yaml: a: wrong"]


def test_lock_is_explained(make_screen):
    screen, lines = make_screen()
    os.mkdir(".snakemake")
    send(screen, "LockException:\nError: x", "error", logging.ERROR, exception="LockException")
    screen.close()
    (line,) = lines()
    assert "has the lock of another run" in line


def test_group_that_failed_names_the_job_whose_log_says_why(make_screen):
    screen, lines = make_screen()
    start_run(screen, score=1, evaluate=1)
    start_job(screen, 1, "score", "score.log")
    start_job(screen, 2, "evaluate", "evaluate.log")
    refuse("wrong", "score.log")
    for number, log in ((1, "score.log"), (2, "evaluate.log")):
        fail_job(screen, number, [log])
    screen.close()
    assert lines()[-3:-1] == ["overtop: wrong", "  in score shapes/part1; log: score.log"]


def test_dry_run_lists_rules_and_runs_nothing(make_screen):
    screen, lines = make_screen(is_dry_run=True)
    start_run(screen, embed=1, all=1)
    start_job(screen, 1, reason="Missing output files: x")
    send(screen, "This was a dry-run (flag -n).")
    screen.close()
    assert lines() == [
        "rule   jobs  why                which",
        "embed     1  output is missing  shapes/part1",
        "1 job would run; nothing was run. --verbose lists every job with its files.",
    ]


@pytest.mark.parametrize(("is_dry_run", "shown"), [(False, ["  table"]), (True, [])])
def test_nothing_to_do_repeats_the_results_of_a_run(make_screen, is_dry_run, shown):
    screen, lines = make_screen(is_dry_run=is_dry_run)
    screen.describe_results = lambda: ["  table"]
    send(screen, event="workflow_started")
    send(screen, "Nothing to be done (all requested files are present and up to date).")
    screen.close()
    assert lines() == ["overtop: Nothing to be done, the results are up to date", *shown]


def test_quiet_run_shows_errors_and_results_only(make_screen):
    screen, lines = make_screen(shows="errors and results")
    start_run(screen, embed=1)
    send(screen, "Elapsed time: 0:00:01")
    screen.close()
    assert [line.partition(",")[0] for line in lines()] == ["overtop: done"]


def test_answers_of_other_commands_are_passed_on(make_screen):
    screen, lines = make_screen()
    send(screen, "Config file config.yaml is extended")
    send(screen, "Unlocked working directory.")
    screen.close()
    assert lines() == ["Unlocked working directory."]


def test_output_of_jobs_goes_to_the_log_until_the_end(tmp_path, capfd):
    output = Output(2, color=False)
    output.redirect_streams(str(tmp_path / LOG))
    os.write(1, b"a job's output\n")
    os.write(2, b"a job's error\n")
    output.print("a line of the screen")
    output.restore_streams()
    os.write(2, b"after the run\n")
    assert (tmp_path / LOG).read_text() == "a job's output\na job's error\n"
    assert capfd.readouterr() == ("", "a line of the screen\nafter the run\n")


def test_screen_is_written_in_the_encoding_of_the_terminal():
    code = r"from overtop.screen.output import Output; Output(1, color=False).print('caf\u00e9 \u2026')"
    for language, expected in (("C.UTF-8", "caf\u00e9 \u2026\n".encode()), ("POSIX", b"caf? ?\n")):
        environment = {**os.environ, "LC_ALL": language, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
        assert result.stdout == expected


def test_file_is_no_terminal_whatever_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with (tmp_path / "output.txt").open("wb") as file:
        output = Output(file.fileno(), color=True)
    output.show(lambda: "live")
    output.print("line", "bold")
    output.clear()
    assert (tmp_path / "output.txt").read_text() == "line\n"


DISPLAY = """
import sys
from rich.text import Text
from overtop.screen.output import Output
output = Output(2, color=False)
output.redirect_streams(sys.argv[1])
output.show(lambda: Text("x" * 60, no_wrap=True, overflow="ellipsis"))
output.clear()
"""


def test_display_fits_the_terminal_while_the_standard_streams_are_redirected(tmp_path):
    reader, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": terminal}
    environment = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "-c", DISPLAY, str(tmp_path / LOG)]
    subprocess.run(command, check=True, env=environment, **streams)
    shown = os.read(reader, 1 << 16).decode()
    assert "x" * 39 + "…" in shown
    os.close(reader)
    os.close(terminal)
