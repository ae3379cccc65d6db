import pytest

from overtop.progress import report_path
from overtop.screen.run import Run, RunningJob
from overtop.screen.time_left import describe_time_left

REFUSED = "2026-01-01 00:00:00,000 ERROR overtop.refused: a.png: cannot be read"
WARNING = "2026-01-01 00:00:00,000 WARNING overtop.embed: 3 captions were truncated"


@pytest.fixture
def start(tmp_path):
    """A function that starts a job with a log, and returns the log."""

    def start_job(run, number, rule="embed", started=0.0):
        log = tmp_path / f"{number}.log"
        run.start(number, RunningJob(rule, f"{rule} {number}", str(log), started))
        return log

    return start_job


@pytest.fixture
def run():
    state = Run(0.0)
    state.plan({"embed": 4, "rank": 2, "all": 1, "total": 7})
    return state


def test_rule_that_names_targets_is_no_job(run):
    assert (run.totals, run.n_jobs) == ({"embed": 4, "rank": 2}, 6)
    assert run.finish(99, 1.0) is None


def test_finished_job_brings_its_time_and_each_warning_once(run, start):
    for number in (1, 2):
        start(run, number).write_text(f"{WARNING}\n")
    assert run.finish(1, 3.0) == ("embed 1", 3.0, ["3 captions were truncated"])
    assert run.finish(2, 4.0) == ("embed 2", 4.0, [])
    assert (run.n_finished, run.seconds["embed"]) == (2, 7.0)


def test_many_warnings_of_a_job_are_counted(run, start):
    text = "2026-01-01 00:00:00,000 WARNING overtop.datasets: skipped: {}.png is missing\n"
    log = start(run, 1)
    log.write_text("".join(text.format(number) for number in range(100)))
    job = run.finish(1, 1.0)
    assert job.warnings[0] == "skipped: 0.png is missing"
    assert job.warnings[3:] == [f"97 more of embed 1 in {log}"]


def test_failed_job_has_the_cause_in_its_log_or_the_one_that_is_given(run, start):
    start(run, 1).write_text(f"{REFUSED}\n")
    start(run, 2)
    start(run, 3)
    assert run.fail(1, why="it was killed").cause.lines == ["a.png: cannot be read"]
    assert run.fail(2, why="it was killed").cause.lines == ["embed 2: it was killed"]
    assert run.fail(3).cause is None
    assert list(run.failures) == [1, 2, 3]


def test_job_that_is_tried_again_is_a_warning_and_no_failure(run, start):
    start(run, 1).write_text(f"{REFUSED}\n")
    run.fail(1)
    run.retry(1)
    assert not run.failures
    assert run.warnings == ["embed 1 failed and is tried again: a.png: cannot be read"]


def test_jobs_that_end_with_an_interrupted_run_have_not_failed(run, start):
    start(run, 1)
    run.is_interrupted = True
    assert run.fail(1) is None
    assert not run.failures


def test_reports_of_killed_jobs_are_removed(run, start):
    for number, end in ((1, lambda: run.finish(1, 1.0)), (2, lambda: run.fail(2)), (3, run.end)):
        report = report_path(start(run, number))
        report.write_text("[]")
        end()
        assert not report.exists()


def finish(run, start, number, rule, started, ended):
    start(run, number, rule, started)
    run.finish(number, ended)


def test_time_left_counts_jobs_of_known_rules_side_by_side(run, start):
    finish(run, start, 1, "embed", 0, 60)
    finish(run, start, 2, "embed", 0, 60)
    assert describe_time_left(run, 60.0) == "more than 1 min left"  # two of embed at once; rank is unknown
    finish(run, start, 5, "rank", 60, 120)
    finish(run, start, 6, "rank", 60, 120)
    assert describe_time_left(run, 120.0) == "about 1 min left"


def test_time_left_of_a_job_with_progress_is_that_of_its_speed(run, start, tmp_path):
    run.plan({"embed": 1, "train": 1})
    finish(run, start, 1, "embed", 0, 100)
    report_path(start(run, 2, "train", 100)).write_text('["train", "step", 10, 100]')
    assert describe_time_left(run, 200.0) == "about 15 min left"


def test_nothing_is_said_of_the_time_before_a_job_has_finished(run, start):
    start(run, 1)
    assert describe_time_left(run, 100.0) == ""


class EndingJob(RunningJob):
    """A job that ends, in the thread of the records, while the display of another thread reads its report."""

    def report(self):
        EndingJob.run.running.clear()


def test_time_left_is_estimated_while_jobs_end(run, start):
    finish(run, start, 1, "embed", 0, 60)
    EndingJob.run = run
    for number in (2, 3):
        run.start(number, EndingJob("embed", f"embed {number}", "", 60.0))
    assert describe_time_left(run, 60.0).endswith(" left")
