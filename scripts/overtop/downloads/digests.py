"""What a file is, and what it should be."""

from dataclasses import dataclass
from pathlib import Path

from overtop.downloads.retries import Failed
from overtop.storage.files import sha256


@dataclass(frozen=True)
class Digest:
    """Size and sha256 of a file."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Digest":
        """The digest of the file at `path`, which is read whole."""
        return cls(path.stat().st_size, sha256(path))


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is there.

    Attributes:
        by: who says so, for messages.
        bytes, sha256: None where unknown.
    """

    by: str
    bytes: int | None = None
    sha256: str | None = None

    def check(self, path: Path) -> Digest:
        """The digest of the file at `path`.

        Raises:
            Failed: it is not the expected one.
        """
        self.compare("bytes", path.stat().st_size)  # spares reading the file
        digest = Digest.of(path)
        self.compare("sha256", digest.sha256)
        return digest

    def compare(self, what: str, found: int | str | None) -> None:
        """Hold one of the two facts against what was found; an unknown one agrees with anything.

        Raises:
            Failed: they differ.
        """
        expected = getattr(self, what)
        if None not in (expected, found) and expected != found:
            raise Failed(f"has {what} {found}, expected {expected} ({self.by})")
