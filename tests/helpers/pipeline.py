"""A checkout of the project, and Snakemake run in it."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BINARIES = Path(sys.executable).parent
# Two workers may run Snakemake at once: a thread that waits must not spin.
ENVIRONMENT = {**os.environ, "PATH": f"{BINARIES}:{os.environ['PATH']}", "OMP_WAIT_POLICY": "PASSIVE"}
TINY = ("--configfile", "tests/workflow/tiny.yaml")


def configured(repo: Path) -> dict[str, Any]:
    """The committed configuration, as the Snakefile merges it."""
    parts = (yaml.safe_load((repo / name).read_text()) for name in ("workflow/sources.yaml", "config.yaml"))
    return {key: value for part in parts for key, value in part.items()}


@dataclass(frozen=True)
class Project:
    """A checkout, and Snakemake in it."""

    root: Path

    def run(
        self, *arguments: str, check: bool = True, environment: Mapping[str, str] = ENVIRONMENT
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on two cores with the environment the tests run in."""
        result = subprocess.run(
            [BINARIES / "snakemake", "--cores", "2", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env=environment,
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
