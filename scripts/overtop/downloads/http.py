"""Downloading one file over HTTP, with resuming and retries."""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from overtop.downloads.digests import Digest, ExpectedDigest
from overtop.downloads.retries import DownloadError, TransientError, retry, status_error
from overtop.errors import OvertopError
from overtop.storage.files import sync_and_rename
from overtop.storage.json_files import write_plain_json

CHUNK_BYTES = 1 << 18

TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between any two received bytes; a server that stalls counts as a transient error."""

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
        OvertopError: the disk has not enough space.
    """
    part, reasons = _PartialFile(target), []
    for address in addresses:
        try:
            retry(partial(_receive, address, part, expected), part.size)
            digest = _verify(part, expected)
        except DownloadError as error:
            logger.warning("%s: %s", address, error)
            reasons.append(f"{address}: {error}")
        else:
            part.publish(target)
            logger.info("downloaded %s from %s: %d bytes, sha256 %s", target, address, digest.bytes, digest.sha256)
            return digest
    raise DownloadError("; ".join(reasons))


@dataclass(frozen=True)
class _RemoteFile:
    """The version of a file that a server offers; a download is resumed only from the same one.

    Attributes:
        address: the URL.
        validator: strong ETag or modification date, for If-Range; empty if the server sent neither, so that the
            download cannot be resumed.
        bytes: size of the whole file, None if unknown.
    """

    address: str
    validator: str
    bytes: int | None

    @classmethod
    def from_response(cls, address: str, response: requests.Response) -> "_RemoteFile":
        etag = response.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        size = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get(
            "Content-Length", ""
        )
        return cls(address, validator, int(size) if size.isdigit() else None)


class _PartialFile:
    """The bytes received so far, in a file next to the target, and the remote file they belong to."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._remote_path = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        """Received bytes; 0 without a file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def remote(self) -> _RemoteFile | None:
        """The remote file that the bytes belong to, None if unknown."""
        try:
            return _RemoteFile(**json.loads(self._remote_path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def start(self, remote: _RemoteFile) -> None:
        """Discard received bytes and begin with another remote file."""
        self.path.write_bytes(b"")  # first, so that old bytes are never attributed to the new remote file
        write_plain_json(self._remote_path, asdict(remote))

    def discard(self) -> None:
        """Remove the bytes and the record of their remote file."""
        self.path.unlink(missing_ok=True)
        self._remote_path.unlink(missing_ok=True)

    def publish(self, target: Path) -> None:
        """Rename the complete file to the target."""
        sync_and_rename(self.path, target)
        self._remote_path.unlink(missing_ok=True)


def _verify(part: _PartialFile, expected: ExpectedDigest) -> Digest:
    """The digest of a complete file; a wrong file is removed, because resuming would not correct it."""
    try:
        return expected.verify(part.path)
    except DownloadError:
        part.discard()
        raise


def _receive(address: str, part: _PartialFile, expected: ExpectedDigest) -> None:
    """Make one attempt to complete the partial file from one address."""
    headers = {"Accept-Encoding": "identity"}  # so that sizes and ranges count bytes of the file itself
    size = part.size()
    resumed = part.remote() if size else None
    if resumed is not None and (resumed.address != address or not resumed.validator):
        resumed = None
    if resumed is not None:
        if size == resumed.bytes:  # the process died after the last byte, before the file was renamed
            return
        headers |= {"Range": f"bytes={size}-", "If-Range": resumed.validator}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            remote = _RemoteFile.from_response(address, response)
            if resumed is not None and response.status_code in (206, 416):
                if remote != resumed or not response.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
                    part.discard()
                    raise TransientError("the file changed on the server during the download")
            elif response.status_code == 200:
                expected.check_bytes(remote.bytes)
                part.start(remote)
            else:
                raise status_error(response.status_code, response.headers.get("Retry-After"))
            _append_body(response, part, remote)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TransientError(f"connection failed ({_innermost_cause(error)})") from error


def _append_body(response: requests.Response, part: _PartialFile, remote: _RemoteFile) -> None:
    """Append the body of a response to the partial file."""
    size, name = part.size(), part.path.stem
    free_bytes = shutil.disk_usage(part.path.parent).free
    if remote.bytes is not None and remote.bytes - size > free_bytes:
        raise OvertopError(
            f"{part.path}: the download needs {remote.bytes - size} more bytes, but only {free_bytes} are free; free "
            "some space and run the same command again, the download will resume"
        )
    bar = tqdm(desc=name, total=remote.bytes, initial=size, unit="B", unit_scale=True, disable=None)
    with open(part.path, "ab") as handle, bar:
        # read1 returns what has arrived, so that an incomplete chunk is not lost with the connection.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            handle.write(chunk)
            bar.update(len(chunk))
    if remote.bytes is not None and part.size() < remote.bytes:
        raise TransientError(f"connection closed after {part.size()} of {remote.bytes} bytes")


def _innermost_cause(error: Exception) -> str:
    """The first line of the innermost exception that `error` wraps."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return f"{type(inner).__name__}: {inner}".splitlines()[0]
