"""The tiny run, for tests that look at it, or change and rebuild a copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from helpers.pipeline import TINY, Project, checkout


@pytest.fixture(scope="session")
def tiny(repo: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """The tiny run, built once for all workers. Look, do not touch."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    project = Project(shared / "tiny")
    with FileLock(shared / "tiny.lock"):
        if not (shared / "tiny.built").exists():
            checkout(repo, project.root)
            project.run(*TINY)
            (shared / "tiny.built").touch()
    return project


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Project], Project]:
    """A built project to change and rebuild."""

    def copy(project: Project) -> Project:
        shutil.copytree(project.root, tmp_path / "copy", symlinks=True)
        return Project(tmp_path / "copy")

    return copy


@pytest.fixture
def fresh(repo: Path, tmp_path: Path) -> Project:
    """A checkout in which nothing was built."""
    return checkout(repo, tmp_path / "fresh")
