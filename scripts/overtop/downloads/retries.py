"""Trying again what a network did not give at once, within bounds."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

T = TypeVar("T")

DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt; a failure after the last of them is final."""

PATIENCE = 600.0
"""The longest wait that a server's Retry-After is granted, in seconds."""

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that another attempt may not meet."""

logger = logging.getLogger(__name__)


class Failed(Exception):
    """A file could not be had from one place; the message says what happened there."""


class Absent(Failed):
    """A place was reached, and has no such file."""


class Transient(Failed):
    """A failure that may pass.

    Args:
        reason: what happened.
        retry_after: the server's Retry-After header, if it sent one.
    """

    def __init__(self, reason: str, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.wait = _seconds(retry_after)


def failed_status(status: int, retry_after: str | None, hint: str = "") -> Failed:
    """The failure that an HTTP status tells: transient or final."""
    reason = f"answered {status}{hint}"
    return Transient(reason, retry_after) if status in TRANSIENT else Failed(reason)


def persist(action: Callable[[], T], reached: Callable[[], int] = lambda: 0) -> T:
    """Call `action` until it succeeds, waiting longer after each `Transient` failure.

    Args:
        action: the operation.
        reached: how far it has come (bytes); whenever it came further than ever before, the delays begin anew, so
            that a long download outlives any number of interruptions, and one that starts over each time does not.

    Raises:
        Failed: final at once, or transient too many times in a row, or the server asks for more than `PATIENCE`.
    """
    furthest, failures = reached(), 0
    while True:
        try:
            return action()
        except Transient as failure:
            if (now := reached()) > furthest:
                furthest, failures = now, 0
            if failure.wait > PATIENCE:
                raise Failed(f"{failure} and asks to come back in {failure.wait:.0f} s") from failure
            if failures == len(DELAYS):
                raise Failed(f"{failure} ({failures + 1} attempts)") from failure
            wait = max(DELAYS[failures], failure.wait)
            failures += 1
            logger.info("%s; attempt %d in %.0f s", failure, failures + 1, wait)
            time.sleep(wait)


def _seconds(retry_after: str | None) -> float:
    """What Retry-After asks for: seconds, or a date; 0 if it asks for nothing."""
    if not retry_after:
        return 0.0
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # not a date, or one without a time zone
        return 0.0
