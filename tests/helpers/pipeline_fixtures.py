"""Fixtures of the tiny run: built once, read by all tests; tests that change something rebuild a copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from helpers.pipeline import TINY_CONFIG, Project, copy_project

__all__ = ["copy_of", "fresh", "tiny"]


@pytest.fixture(scope="session")
def tiny(repo: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """The tiny run, built once for all workers; read-only."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    project = Project(shared / "tiny")
    with FileLock(shared / "tiny.lock"):
        if not (shared / "tiny.built").exists():
            copy_project(repo, project.root)
            project.run(*TINY_CONFIG)
            (shared / "tiny.built").touch()
    return project


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Project], Project]:
    """A function that copies a built project, to change and rebuild it."""

    def copy(project: Project) -> Project:
        shutil.copytree(project.root, tmp_path / "copy", symlinks=True)
        return Project(tmp_path / "copy")

    return copy


@pytest.fixture
def fresh(repo: Path, tmp_path: Path) -> Project:
    """A checkout without results."""
    return copy_project(repo, tmp_path / "fresh")
