"""What the tests fetch, and what they look for afterwards."""

import hashlib
import random
from pathlib import Path

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG = hashlib.sha256(bytes(byte ^ 0xFF for byte in CONTENT)).hexdigest()
"""The digest of what the stand-in's `wrong_bytes` makes of it."""


def left(folder: Path) -> list[str]:
    """Names of all files in a folder, but for the locks."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    )
