"""A copy of the project with the tiny run built in it, for tests that change and rebuild things."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

TINY = ("--configfile", "tests/workflow/tiny.yaml")


@dataclass(frozen=True)
class Project:
    """A checkout, and Snakemake in it."""

    root: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on two cores with the environment the tests run in."""
        binaries = Path(sys.executable).parent
        result = subprocess.run(
            [binaries / "snakemake", "--cores", "2", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"},
            check=False,
        )
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def planned(self, *arguments: str) -> Counter[str]:
        """The jobs that a dry run would start, by rule."""
        output = self.run(*arguments, "--dry-run", "--quiet", "rules")
        table = re.search(r"^job +count\n-+  -+\n(.*?)^total", output.stdout + output.stderr, re.M | re.S)
        if table is None:
            return Counter()
        rows = (line.split() for line in table[1].splitlines())
        return Counter({rule: int(count) for rule, count in rows if rule != "all"})

    def bytes(self, *patterns: str) -> dict[str, bytes]:
        """Content of the files that match."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for pattern in patterns
            for path in sorted(self.root.glob(pattern))
        }


def checkout(repo: Path, target: Path) -> Project:
    """The files that git knows or would add: what a commit of the working tree would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repo,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (repo / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repo / name, target / name, follow_symlinks=False)
    return Project(target)


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
