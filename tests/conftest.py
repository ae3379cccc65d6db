"""Fixtures for all tests."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

REPO = Path(__file__).resolve().parents[1]

# Here and not in tests/faults: with xdist, the process that prints the table of faults reads no other conftest.py.
pytest_plugins = ("helpers.fault_table",)

# A shell ignores Ctrl-C for what it runs in the background, and so would all processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Not inherited by the code that is tested, for which it is the mirror, too.
MIRROR = Path(os.environ.pop("OVERTOP_MIRROR", REPO.parent / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def _single_thread() -> Iterator[None]:
    """Run torch on one thread: the tensors are small, and test workers share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A folder of photographs and CLIP embeddings outside the project; tests that use it are skipped without it."""
    if not (MIRROR / "README.md").is_file():
        pytest.skip(f"no data mirror at {MIRROR} (set OVERTOP_MIRROR)")
    return MIRROR
