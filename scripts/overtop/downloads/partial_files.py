"""The received bytes of an unfinished download, and the proof that they are still those that were received."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from overtop.downloads.digests import Digest
from overtop.errors import OvertopError
from overtop.storage.files import sync_and_rename
from overtop.storage.json_files import read_json, write_json

RECORD_BYTES = 1 << 26
"""Bytes after which the digest of what was received is recorded; a killed process loses at most as many."""


@dataclass(frozen=True)
class RemoteFile:
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


class PartialFile:
    """The bytes of a download in `NAME.part`, and their remote file, number and digest in `NAME.part.json`.

    Bytes that an earlier process left are used only if they have the recorded digest: a disk may lose them, and nothing
    but a known digest of the whole file would show it later.

    Args:
        target: the file that is downloaded.

    Attributes:
        path: the file with the bytes.
        bytes: their number.
        remote: the remote file that they belong to; None if nothing was received.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._record_path = target.with_name(f"{target.name}.part.json")
        self._reset(None)
        self._resume()

    def _reset(self, remote: RemoteFile | None) -> None:
        self.remote, self.bytes, self._recorded, self._hash = remote, 0, 0, hashlib.sha256()

    def _resume(self) -> None:
        """Continue with what an earlier process recorded, or discard it."""
        try:
            record = read_json(self._record_path)
            remote, size, digest = RemoteFile(**record["remote"]), int(record["bytes"]), record["sha256"]
            with open(self.path, "rb+") as handle:
                handle.truncate(max(size, 0))
                found = hashlib.file_digest(handle, "sha256")
        except (OvertopError, OSError, ValueError, KeyError, TypeError):
            return self.discard()
        if found.hexdigest() != digest:
            return self.discard()
        self.remote, self.bytes, self._recorded, self._hash = remote, size, size, found
        return None

    def start(self, remote: RemoteFile) -> None:
        """Discard received bytes and begin with another remote file."""
        self.discard()
        self._reset(remote)
        self.path.touch()
        self._record()

    @contextmanager
    def open(self) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that appends bytes; what was received is recorded, even if it ends with an error."""
        with open(self.path, "rb+") as handle:
            handle.truncate(self.bytes)  # what a full disk left of a chunk
            handle.seek(self.bytes)

            def write(chunk: bytes) -> None:
                handle.write(chunk)
                self._hash.update(chunk)
                self.bytes += len(chunk)
                if self.bytes - self._recorded >= RECORD_BYTES:
                    handle.flush()
                    self._record()

            try:
                yield write
            finally:
                handle.flush()
                self._record()

    def _record(self) -> None:
        assert self.remote is not None, "bytes belong to a remote file"
        write_json(
            self._record_path,
            {"remote": asdict(self.remote), "bytes": self.bytes, "sha256": self._hash.hexdigest()},
        )
        self._recorded = self.bytes

    def digest(self) -> Digest:
        """The digest of the bytes as they were received."""
        return Digest(self.bytes, self._hash.hexdigest())

    def discard(self) -> None:
        """Remove the bytes and their record."""
        self.path.unlink(missing_ok=True)
        self._record_path.unlink(missing_ok=True)
        self._reset(None)

    def publish(self, target: Path) -> None:
        """Rename the complete file to the target."""
        sync_and_rename(self.path, target)
        self._record_path.unlink(missing_ok=True)
