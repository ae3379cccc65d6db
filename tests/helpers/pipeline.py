"""Copies of the project in which tests run Snakemake."""

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
from snakemake.utils import update_config

from helpers.written_columns import undocumented_tables

BIN = Path(sys.executable).parent
"""Folder of the environment's executables."""

# Test workers may run Snakemake at the same time, so idle OpenMP threads must not spin.
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "OMP_WAIT_POLICY": "PASSIVE"}

TINY_CONFIG = ("--configfile", "tests/workflow/tiny.yaml")
"""Arguments that make Snakemake run a small version of the pipeline."""


def read_committed_config(repo: Path) -> dict[str, Any]:
    """Return the merged values of the configuration files, as the Snakefile reads them."""
    values: dict[str, Any] = {}
    for name in ("workflow/sources.yaml", "workflow/robustness.yaml", "config.yaml"):
        update_config(values, yaml.safe_load((repo / name).read_text()))
    return values


def listed_jobs(output: str) -> Counter[str]:
    """Return the number of jobs of each rule that a run lists when it starts, or a dry run."""
    table = re.search(r"^rule +jobs +why.*?\n(.*?)^[\d,]+ jobs? would run", output, re.M | re.S)
    if table is None:
        started = re.search(r"^overtop: [\d,]+ jobs?: (.*?); log: ", output, re.M)
        named = (words.split() for words in started[1].split(", ")) if started else ()
        return Counter({rule: int(count.replace(",", "")) for rule, count in named})
    rows = (line.split(maxsplit=2) for line in table[1].splitlines())
    return Counter({rule: int(count.replace(",", "")) for rule, count, *_ in rows})


@dataclass(frozen=True)
class Project:
    """A copy of the project at `root`; with `forks_jobs`, its jobs start faster (helpers.forking_snakemake)."""

    root: Path
    forks_jobs: bool = False

    @property
    def snakemake(self) -> list[str]:
        """The command that runs Snakemake on two cores."""
        script = Path(__file__).with_name("forking_snakemake.py")
        command = [sys.executable, str(script)] if self.forks_jobs else [str(BIN / "snakemake")]
        return [*command, "--cores", "2"]

    def run(
        self, *arguments: str, check: bool = True, environment: Mapping[str, str] = ENVIRONMENT
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on two cores; with `check`, a failure or a table that is not documented fails the test."""
        result = subprocess.run(
            [*self.snakemake, *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert not check or result.returncode == 0, result.stdout + result.stderr
        assert not check or undocumented_tables(self.root) == []
        return result

    def planned_jobs(self, *arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> Counter[str]:
        """Return the number of jobs of each rule that a dry run lists."""
        run = self.run(*arguments, "--dry-run", environment=environment)
        output = run.stdout + run.stderr
        jobs = listed_jobs(output)
        assert jobs or "Nothing to be done" in output, output
        return jobs

    def read_files(self, *patterns: str) -> dict[str, bytes]:
        """Return the content of the files that match any of the glob patterns, by path."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for pattern in patterns
            for path in sorted(self.root.glob(pattern))
            if path.is_file()
        }


def copy_project(repo: Path, target: Path) -> Project:
    """Copy the files of the working tree that git tracks or would add to `target`."""
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
