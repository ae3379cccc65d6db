"""One file over HTTP, whatever the network does meanwhile."""

import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from overtop.downloads.digests import Digest, Expected
from overtop.downloads.retries import Failed, Transient, failed_status, persist
from overtop.errors import OvertopError
from overtop.storage.files import write_json

CHUNK = 1 << 18
TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between any two bytes: a server that stalls is asked again."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Origin:
    """Whose bytes a partial file holds: a range is only asked of the same version at the same address."""

    address: str
    validator: str  # strong ETag or date, for If-Range; empty: the server has neither, so nothing can be continued
    bytes: int | None

    @classmethod
    def of(cls, address: str, response: requests.Response) -> "_Origin":
        etag = response.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        size = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get(
            "Content-Length", ""
        )
        return cls(address, validator, int(size) if size.isdigit() else None)


class _Part:
    """The bytes that came so far, beside the target; they survive a kill."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self) -> _Origin | None:
        try:
            return _Origin(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def start(self, origin: _Origin) -> None:
        self.path.write_bytes(b"")  # first, so that the old bytes never pass for the new origin's
        write_json(self._note, asdict(origin))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def publish(self, target: Path) -> None:
        publish(self.path, target)
        self._note.unlink(missing_ok=True)


def download(addresses: Sequence[str], target: Path, expected: Expected) -> Digest:
    """Fetch a file from the first address that gives the expected one.

    What came stays beside the target as `NAME.part` when the connection, the job or the machine dies, and the next
    call asks for the rest. The target appears when the whole file is there and verified.

    Args:
        addresses: where the file is, in order of preference.
        target: where to put it; its folder exists.
        expected: its size and sha256, as far as known.

    Returns:
        The digest of the file.

    Raises:
        Failed: no address gave it; the message lists each with its reason.
        OvertopError: the disk has no room for it.
    """
    part, reasons = _Part(target), []
    for address in addresses:
        try:
            persist(partial(_receive, address, part, expected), part.size)
            digest = _verified(part, expected)
        except Failed as failure:
            logger.warning("%s %s", address, failure)
            reasons.append(f"{address} {failure}")
        else:
            part.publish(target)
            logger.info("fetched %s from %s: %d bytes, sha256 %s", target, address, digest.bytes, digest.sha256)
            return digest
    raise Failed("; ".join(reasons))


def publish(path: Path, target: Path) -> None:
    """Give a whole file its final name, once its bytes are on the disk."""
    with open(path, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(path, target)


def _verified(part: _Part, expected: Expected) -> Digest:
    try:
        return expected.check(part.path)
    except Failed:
        part.discard()  # more of the same bytes would not mend it
        raise


def _receive(address: str, part: _Part, expected: Expected) -> None:
    """One attempt to complete the partial file from one address."""
    headers = {"Accept-Encoding": "identity"}  # sizes and ranges that count the file's own bytes
    have, begun = part.size(), part.origin()
    if not have or begun is None or begun.address != address or not begun.validator:
        begun = None  # nothing that could be continued
    elif have == begun.bytes:  # killed between the last byte and the new name
        return
    else:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
            offered = _Origin.of(address, response)
            if begun and response.status_code in (206, 416):
                if offered != begun or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                    part.discard()
                    raise Transient("no longer has the file that was begun")
            elif response.status_code == 200:
                expected.compare("bytes", offered.bytes)
                part.start(offered)
            else:
                raise failed_status(response.status_code, response.headers.get("Retry-After"))
            _write(response, part, offered)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Transient(f"broke off ({_cause(error)})") from error


def _write(response: requests.Response, part: _Part, offered: _Origin) -> None:
    """Append the body to the partial file."""
    have, name = part.size(), part.path.stem
    if offered.bytes is not None and offered.bytes - have > (free := shutil.disk_usage(part.path.parent).free):
        raise OvertopError(
            f"{part.path}: {offered.bytes - have} bytes are to come and {free} are free; free some and run the same "
            "command again, it goes on from here"
        )
    bar = tqdm(desc=name, total=offered.bytes, initial=have, unit="B", unit_scale=True, disable=None)
    with open(part.path, "ab") as handle, bar:
        # read1 hands over what has arrived: a chunk that never fills up is not lost with the connection.
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            handle.write(chunk)
            bar.update(len(chunk))
    if offered.bytes is not None and part.size() < offered.bytes:
        raise Transient(f"broke off after {part.size()} of {offered.bytes} bytes")


def _cause(error: Exception) -> str:
    """The innermost reason of an exception of requests, which wraps others, in one line."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return f"{type(inner).__name__}: {inner}".splitlines()[0]
