"""The tiny run, for tests that look at it, or change and rebuild a copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import TINY, Project, checkout


@pytest.fixture(scope="session")
def tiny(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny run, built once. Look, do not touch."""
    project = checkout(repo, tmp_path_factory.mktemp("tiny"))
    project.run(*TINY)
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
