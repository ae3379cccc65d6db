"""Where tests find what they need."""

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A folder of real photographs and embeddings that is no part of the project; its tests skip without it."""
    folder = Path(os.environ.get("OVERTOP_MIRROR", REPO.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no data mirror at {folder} (set OVERTOP_MIRROR)")
    return folder
