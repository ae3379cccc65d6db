"""Downloading one file over HTTP, with resuming and retries."""

import logging
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import requests
import urllib3

from overtop.downloads.digests import Digest, ExpectedDigest
from overtop.downloads.partial_files import PartialFile, RemoteFile
from overtop.downloads.retries import DownloadError, GaveUpError, TransientError, retry, status_error
from overtop.errors import OvertopError
from overtop.progress import progress_bar

CHUNK_BYTES = 1 << 18

TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between any two received bytes; a server that stalls counts as a transient error."""

SLOWEST = (1 << 16, 120.0)
"""Bytes that must be received in each of so many seconds; a server that is slower is given up."""

_NO_ADDRESS_ERRORS = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.TooManyRedirects)

logger = logging.getLogger(__name__)


def download(addresses: Sequence[str], target: Path, expected: ExpectedDigest) -> Digest:
    """Download a file from the first address that delivers the expected one.

    Received bytes are in `NAME.part` next to the target. If the connection, the job or the machine fails, the next
    call requests only the rest. The target is created when the file is complete and verified.

    Args:
        addresses: URLs, in order of preference.
        target: the file to create; its folder exists.
        expected: size and sha256, as far as known.

    Returns:
        The digest of the file.

    Raises:
        DownloadError: no address delivered the file; the message lists each with its reason.
        GaveUpError: likewise, and one of them may deliver it later.
        OvertopError: the disk has not enough space.
    """
    part, errors = PartialFile(target), []
    for address in addresses:
        try:
            digest = _download_from(address, part, expected)
        except DownloadError as error:
            logger.warning("%s: %s", address, error)
            errors.append(error)
        else:
            part.publish(target)
            logger.info("downloaded %s from %s: %d bytes, sha256 %s", target, address, digest.bytes, digest.sha256)
            return digest
    kind = GaveUpError if any(isinstance(error, GaveUpError) for error in errors) else DownloadError
    raise kind("; ".join(f"{address}: {error}" for address, error in zip(addresses, errors, strict=True)))


def _download_from(address: str, part: PartialFile, expected: ExpectedDigest) -> Digest:
    """Complete and verify the file from one address; one that was resumed and is wrong is received once more whole."""
    was_resumed = part.remote is not None and part.remote.address == address
    receive = partial(_receive, address, part, expected, _Pace())
    while True:
        retry(receive, lambda: part.bytes)
        try:
            return _verify(part, expected)
        except DownloadError as error:
            if not was_resumed:
                raise
            logger.warning("%s: %s; receiving the whole file again", address, error)
            was_resumed = False


def _verify(part: PartialFile, expected: ExpectedDigest) -> Digest:
    """The digest of a complete file; a wrong file is removed, because resuming would not correct it."""
    try:
        digest = expected.verify(part.path)
        if digest != part.digest():
            raise DownloadError("the disk has other bytes than were received")
        return digest
    except DownloadError:
        part.discard()
        raise


class _Pace:
    """The time that a server takes for the bytes of one file, without pauses between attempts."""

    def __init__(self) -> None:
        self._bytes, self._seconds = 0, 0.0

    def add(self, size: int, seconds: float) -> None:
        """Count received bytes and the time that they took.

        Raises:
            DownloadError: the server is too slow.
        """
        self._bytes, self._seconds = self._bytes + size, self._seconds + seconds
        least_bytes, window_seconds = SLOWEST
        if self._seconds < window_seconds:
            return
        if self._bytes < least_bytes:
            raise DownloadError(f"too slow, {self._bytes} bytes in {self._seconds:.0f} s")
        self._bytes, self._seconds = 0, 0.0


def _describe(address: str, response: requests.Response) -> RemoteFile:
    """The remote file that a response is of."""
    etag = response.headers.get("ETag", "")
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
    size = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get("Content-Length", "")
    return RemoteFile(address, validator, int(size) if size.isascii() and size.isdigit() else None)


def _receive(address: str, part: PartialFile, expected: ExpectedDigest, pace: _Pace) -> None:
    """Make one attempt to complete the partial file from one address."""
    headers = {"Accept-Encoding": "identity"}  # so that sizes and ranges count bytes of the file itself
    resumed = part.remote if part.bytes else None
    if resumed is not None and (resumed.address != address or not resumed.validator):
        resumed = None
    if resumed is not None:
        if part.bytes == resumed.bytes:  # the process died after the last byte, before the file was renamed
            return
        headers |= {"Range": f"bytes={part.bytes}-", "If-Range": resumed.validator}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            _check_redirects(response, expected)
            remote = _describe(address, response)
            if resumed is not None and response.status_code in (206, 416):
                content_range = response.headers.get("Content-Range", "")
                if remote != resumed or not content_range.startswith(f"bytes {part.bytes}-"):
                    part.discard()
                    raise TransientError("the file changed on the server during the download")
            elif response.status_code == 200:
                expected.check_bytes(remote.bytes)
                part.start(remote)
            else:
                raise status_error(response.status_code, response.headers.get("Retry-After"))
            _append_body(response, part, remote, expected, pace)
    except _NO_ADDRESS_ERRORS as error:
        raise DownloadError(f"leads to no address that can be used ({_innermost_cause(error)})") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TransientError(f"connection failed ({_innermost_cause(error)})") from error
    except ValueError as error:  # of the parser of addresses
        raise DownloadError(f"leads to no address that can be used ({error})") from error


def _check_redirects(response: requests.Response, expected: ExpectedDigest) -> None:
    """A redirect must not give up the encryption that an address promises, unless the digest is known."""
    addresses = [step.url for step in (*response.history, response)]
    if not expected.has_digest and addresses[0].startswith("https:") and not addresses[-1].startswith("https:"):
        raise DownloadError("leads to an address without encryption, and no digest is known to verify the file with")


def _append_body(
    response: requests.Response, part: PartialFile, remote: RemoteFile, expected: ExpectedDigest, pace: _Pace
) -> None:
    """Append the body of a response to the partial file."""
    free_bytes = shutil.disk_usage(part.path.parent).free
    if remote.bytes is not None and remote.bytes - part.bytes > free_bytes:
        raise OvertopError(
            f"{part.path}: the download needs {remote.bytes - part.bytes} more bytes, but only {free_bytes} are free; "
            "free some space and run the same command again, the download will resume"
        )
    limit = remote.bytes if remote.bytes is not None else expected.bytes
    name, before = part.path.stem, time.monotonic()
    with part.open() as write, progress_bar(name, "byte") as progress:
        # read1 returns what has arrived, so that an incomplete chunk is not lost with the connection.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            if limit is not None and part.bytes + len(chunk) > limit:
                break
            write(chunk)
            progress(part.bytes, remote.bytes or 0)
            now = time.monotonic()
            pace.add(len(chunk), now - before)
            before = now
    if chunk:
        part.discard()
        raise DownloadError(f"sends more than the {limit} bytes of the file")
    if remote.bytes is not None and part.bytes < remote.bytes:
        raise TransientError(f"connection closed after {part.bytes} of {remote.bytes} bytes")


def _innermost_cause(error: Exception) -> str:
    """The first line of the innermost exception that `error` wraps."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return f"{type(inner).__name__}: {inner}".splitlines()[0]
