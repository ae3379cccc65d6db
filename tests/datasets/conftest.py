"""Sources of images with captions, and a local server instead of the hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.fake_server import FakeServer, serve_hub
from helpers.source_files import SourceFiles


@pytest.fixture
def source_files(tmp_path: Path) -> SourceFiles:
    (tmp_path / "mirror").mkdir()
    return SourceFiles(tmp_path / "mirror", tmp_path / "data")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A local server instead of the hub."""
    with serve_hub(tmp_path / "served", tmp_path / "cache", monkeypatch) as server:
        yield server
