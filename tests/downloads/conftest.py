"""A local server instead of the network, and short waits."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from helpers.fake_server import FakeServer, serve_hub
from overtop.downloads import http, retries


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "DELAYS_SECONDS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(http, "TIMEOUT_SECONDS", (2.0, 0.3))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server of `tmp_path/served` that is also the hub."""
    with serve_hub(tmp_path / "served", tmp_path / "cache", monkeypatch) as server:
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 10)  # bytes that the client loses with a connection
        yield server


@pytest.fixture
def script(tmp_path: Path, repo: Path, server: FakeServer) -> Callable[..., subprocess.Popen[str]]:
    """Start Python code in a separate process whose hub is the local server."""

    # Appended, not in PYTHONPATH: rule scripts must not shadow installed packages.
    find_library = f"import sys; sys.path.append({str(repo / 'scripts')!r})\n"

    def start(code: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", find_library + code],
            env={**server.environment(tmp_path / "home"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
