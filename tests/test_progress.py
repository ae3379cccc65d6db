"""Progress travels from jobs to the screen in files that are removed."""

import json

import pytest

from overtop import progress
from overtop.progress import Report, progress_bar, progress_reported_to, read_report, report_path, track


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the reports go by, in a list of one."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_progress_of_a_job_is_read_beside_its_log_and_removed_at_its_end(tmp_path, clock):
    log = tmp_path / "embed.log"
    with progress_reported_to(log), progress_bar("embed tiny", "image") as update:
        assert read_report(log) is None
        clock[0] = 1.0
        update(5, 40)
        assert read_report(log) == Report("embed tiny", "image", 5, 40)
    assert list(tmp_path.iterdir()) == []


def test_reports_are_written_at_a_bounded_rate(tmp_path, clock):
    log = tmp_path / "embed.log"
    with progress_reported_to(log), progress_bar("embed", "image") as update:
        for done in range(1, 41):
            clock[0] += 0.4
            update(done, 40)
            if done == 2:
                assert read_report(log) is None, "a short job writes nothing"
        assert read_report(log).done == 39, "every third one is written"


def test_report_of_a_failed_job_is_removed(tmp_path, clock):
    def fail():
        with progress_reported_to(tmp_path / "embed.log"), progress_bar("embed", "image") as update:
            clock[0] = 1.0
            update(1, 2)
            raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[1", "{}", json.dumps(["embed", "image", 1])])
def test_unfinished_or_foreign_report_is_ignored(tmp_path, content):
    report_path(tmp_path / "a.log").write_text(content)
    assert read_report(tmp_path / "a.log") is None


def test_report_that_cannot_be_written_does_not_stop_a_job(tmp_path, clock):
    with progress_reported_to(tmp_path / "gone" / "a.log"), progress_bar("embed", "image") as update:
        clock[0] = 1.0
        update(1, 2)


def test_tracked_items_are_yielded_and_counted(tmp_path, clock):
    log = tmp_path / "fetch.log"
    with progress_reported_to(log):
        for number, item in enumerate(track(["a", "b", "c"], "fetch", "file")):
            assert item == "abc"[number]
            clock[0] += 1
            if number:
                assert read_report(log) == Report("fetch", "file", number, 3)


def test_without_a_job_nothing_is_shown_off_a_terminal(capsys):
    assert list(track(iter("ab"), "fetch", "file")) == ["a", "b"]
    assert capsys.readouterr() == ("", "")
