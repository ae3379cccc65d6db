"""A stand-in of the network, and no waiting."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from helpers.standin import Standin
from overtop.downloads import http as transfer
from overtop.downloads import retries as attempts


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "DELAYS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(transfer, "TIMEOUT", (2.0, 0.3))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """A server of `tmp_path/served`, which is the hub, too."""
    with Standin(tmp_path / "served") as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 10)  # what it loses when a connection breaks off
        yield server


@pytest.fixture
def script(tmp_path: Path, repo: Path, standin: Standin) -> Callable[..., subprocess.Popen[str]]:
    """Start Python code in a process of its own, whose hub is the stand-in."""

    def start(code: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env={**standin.environment(tmp_path / "home"), "PYTHONPATH": str(repo / "scripts"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
