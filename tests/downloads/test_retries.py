from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from overtop.downloads import retries as attempts
from overtop.downloads.retries import Failed, Transient, failed_status, persist


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(attempts.time, "sleep", waited.append)
    monkeypatch.setattr(attempts, "DELAYS", (1.0, 2.0, 4.0))
    return waited


class Action:
    """Raises the given failures one after the other, then returns 7."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    def __call__(self) -> int:
        if self.failures:
            raise self.failures.pop(0)
        return 7


def test_waits_longer_each_time(waits: list[float]) -> None:
    assert persist(Action(Transient("a"), Transient("b"), Transient("c"))) == 7
    assert waits == [1.0, 2.0, 4.0]


def test_gives_up_after_the_last_delay(waits: list[float]) -> None:
    with pytest.raises(Failed, match=r"d \(4 attempts\)"):
        persist(Action(*map(Transient, "abcde")))
    assert waits == [1.0, 2.0, 4.0]


def test_a_final_failure_is_not_tried_again(waits: list[float]) -> None:
    with pytest.raises(Failed, match="^no$"):
        persist(Action(Failed("no")))
    assert waits == []


def test_delays_begin_anew_after_progress_alone(waits: list[float]) -> None:
    reached = iter([0, 10, 20, 20, 15])
    assert persist(Action(*map(Transient, "abcd")), lambda: next(reached)) == 7
    assert waits == [1.0, 1.0, 2.0, 4.0]


def test_retry_after_is_honoured(waits: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    persist(Action(Transient("a", "30"), Transient("b", later), Transient("c", "soon")))
    assert waits[0] == 30
    assert 95 < waits[1] <= 100
    assert waits[2] == 4.0


def test_a_server_that_asks_for_too_much_patience(waits: list[float]) -> None:
    with pytest.raises(Failed, match="come back in 3600 s"):
        persist(Action(Transient("answered 429", "3600")))
    assert waits == []


def test_which_statuses_pass() -> None:
    assert [type(failed_status(status, None)) for status in (404, 403, 429, 503)] == [
        Failed,
        Failed,
        Transient,
        Transient,
    ]
