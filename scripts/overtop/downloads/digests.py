"""Size and sha256 of files, actual and expected."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from overtop.downloads.retries import DownloadError
from overtop.storage.files import sha256


@dataclass(frozen=True)
class Digest:
    """Size in bytes and hex sha256 of a file."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Digest":
        """The digest of the file at `path`; reads the whole file."""
        return cls(path.stat().st_size, sha256(path))


@dataclass(frozen=True)
class ExpectedDigest:
    """Size and sha256 that a file should have, as far as known.

    Attributes:
        stated_by: where the values come from, for messages.
        bytes: size in bytes; None if unknown.
        sha256: hex digest; None if unknown.
        md5: hex digest, for files of which no other is known; None if unknown.
    """

    stated_by: str
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def has_digest(self) -> bool:
        """Whether more than the size is known."""
        return self.sha256 is not None or self.md5 is not None

    def verify(self, path: Path) -> Digest:
        """The digest of the file at `path`, after comparing it.

        Raises:
            DownloadError: the file has another size or digest.
        """
        self.check_bytes(path.stat().st_size)  # first, because it needs no reading
        digest = Digest.of(path)
        self.check_sha256(digest.sha256)
        if self.md5 is not None and self.md5 != (md5 := _md5(path)):
            raise DownloadError(f"md5 is {md5}, expected {self.md5} ({self.stated_by})")
        return digest

    def check_bytes(self, size: int | None) -> None:
        """Compare a size; an unknown one matches everything.

        Raises:
            DownloadError: the sizes differ.
        """
        if None not in (self.bytes, size) and self.bytes != size:
            raise DownloadError(f"size is {size} bytes, expected {self.bytes} ({self.stated_by})")

    def check_sha256(self, sha256: str | None) -> None:
        """Compare a sha256; an unknown one matches everything.

        Raises:
            DownloadError: the digests differ.
        """
        if None not in (self.sha256, sha256) and self.sha256 != sha256:
            raise DownloadError(f"sha256 is {sha256}, expected {self.sha256} ({self.stated_by})")


def _md5(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
