"""Programs that answer like Slurm's clients, on the path."""

import os

import pytest

from helpers.slurm_clients import write_clients


@pytest.fixture
def clients(tmp_path, monkeypatch):
    """A function that puts clients with the given answers on the path."""

    def put(**answers):
        folder = write_clients(tmp_path / "bin", answers)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path

    return put
