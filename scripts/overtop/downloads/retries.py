"""Retrying downloads after transient errors, with bounded delays.

Neither tenacity nor urllib3's `Retry` is used, because their delays cannot restart when a download has progressed.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

T = TypeVar("T")

DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits before the retries; an error after the last of them is final."""

PROGRESS_BYTES = 1 << 12
"""Received bytes that count as progress, after which the delays restart."""

MAX_RETRY_AFTER_SECONDS = 600.0
"""The longest Retry-After of a server that is accepted."""

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that are worth a retry."""

logger = logging.getLogger(__name__)


class DownloadError(Exception):
    """A file could not be downloaded from one place; the message is the reason."""


class NotFoundError(DownloadError):
    """The server answered that it has no such file."""


class GaveUpError(DownloadError):
    """Transient errors occurred too often; the download may succeed later."""


class TransientError(DownloadError):
    """An error that may not occur again.

    Args:
        reason: the message.
        retry_after: the server's Retry-After header, if there was one.

    Attributes:
        retry_after_seconds: the wait that the server requests; 0 without one.
    """

    def __init__(self, reason: str, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = _parse_retry_after(retry_after)


def status_error(status: int, retry_after: str | None, hint: str = "") -> DownloadError:
    """The error for an HTTP status: transient or final.

    Args:
        status: the HTTP status.
        retry_after: the server's Retry-After header, or None.
        hint: appended to the message.
    """
    reason = f"HTTP status {status}{hint}"
    return TransientError(reason, retry_after) if status in TRANSIENT_STATUSES else DownloadError(reason)


def retry(action: Callable[[], T], received_bytes: Callable[[], int] = lambda: 0) -> T:
    """Call `action` until it succeeds, with a longer wait after each `TransientError`.

    Args:
        action: the operation.
        received_bytes: returns how many bytes have been received. When these are `PROGRESS_BYTES` more than before, the
            delays restart, so that a long download survives any number of interruptions, but one that always starts
            over does not run forever.

    Raises:
        DownloadError: the error is final.
        GaveUpError: it occurred too often without progress, or the server requests a wait longer than
            `MAX_RETRY_AFTER_SECONDS`.
    """
    most_bytes, failures = received_bytes(), 0
    while True:
        try:
            return action()
        except TransientError as error:
            current_bytes = received_bytes()
            if current_bytes >= most_bytes + PROGRESS_BYTES:
                most_bytes, failures = current_bytes, 0
            if error.retry_after_seconds > MAX_RETRY_AFTER_SECONDS:
                raise GaveUpError(f"{error}, retry after {error.retry_after_seconds:.0f} s") from error
            if failures == len(DELAYS_SECONDS):
                raise GaveUpError(f"{error} ({failures + 1} attempts)") from error
            delay = max(DELAYS_SECONDS[failures], error.retry_after_seconds)
            failures += 1
            logger.info("%s; attempt %d in %.0f s", error, failures + 1, delay)
            time.sleep(delay)


def _parse_retry_after(header: str | None) -> float:
    """Seconds that a Retry-After header requests, given as a number or a date; 0 if it is missing or invalid."""
    if not header:
        return 0.0
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # not a date, or a date without a time zone
        return 0.0
