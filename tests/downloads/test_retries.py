from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from overtop.downloads import retries
from overtop.downloads.retries import DownloadError, TransientError, retry, status_error


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    delays: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", delays.append)
    monkeypatch.setattr(retries, "DELAYS_SECONDS", (1.0, 2.0, 4.0))
    return delays


class Action:
    """Raises the given errors one after the other, then returns 7."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> int:
        if self.errors:
            raise self.errors.pop(0)
        return 7


def test_delays_increase_after_each_transient_error(waits: list[float]) -> None:
    assert retry(Action(TransientError("a"), TransientError("b"), TransientError("c"))) == 7
    assert waits == [1.0, 2.0, 4.0]


def test_transient_error_after_last_delay_is_final(waits: list[float]) -> None:
    with pytest.raises(DownloadError, match=r"d \(4 attempts\)"):
        retry(Action(*map(TransientError, "abcde")))
    assert waits == [1.0, 2.0, 4.0]


def test_final_error_is_not_retried(waits: list[float]) -> None:
    with pytest.raises(DownloadError, match="^no$"):
        retry(Action(DownloadError("no")))
    assert waits == []


def test_delays_restart_only_after_progress(waits: list[float]) -> None:
    least = retries.PROGRESS_BYTES
    sizes = iter([0, least, 2 * least, 3 * least - 1, least])
    assert retry(Action(*map(TransientError, "abcd")), lambda: next(sizes)) == 7
    assert waits == [1.0, 1.0, 2.0, 4.0]


def test_retry_after_in_seconds_and_as_date_is_respected(waits: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    retry(Action(TransientError("a", "30"), TransientError("b", later), TransientError("c", "soon")))
    assert waits[0] == 30
    assert 95 < waits[1] <= 100
    assert waits[2] == 4.0


def test_retry_after_above_maximum_is_final(waits: list[float]) -> None:
    with pytest.raises(DownloadError, match="HTTP status 429, retry after 3600 s"):
        retry(Action(TransientError("HTTP status 429", "3600")))
    assert waits == []


def test_statuses_are_transient_or_final() -> None:
    assert [type(status_error(status, None)) for status in (404, 403, 429, 503)] == [
        DownloadError,
        DownloadError,
        TransientError,
        TransientError,
    ]
