"""The content that the tests download, and its digests."""

import hashlib
import random
from pathlib import Path

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG_SHA256 = hashlib.sha256(bytes(byte ^ 0xFF for byte in CONTENT)).hexdigest()
"""Digest of the content with the fake server's fault `wrong_bytes`."""


def list_files(folder: Path) -> list[str]:
    """Relative paths of all files in a folder except lock files, sorted."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    )
