"""What Snakemake's and DVC's users expect to work."""

import re
import subprocess

import pytest
import yaml

from helpers.pipeline import BINARIES, TINY


def test_environments_hold_the_versions_of_the_constraints(repo):
    pins = dict(
        line.split("==") for line in (repo / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    )
    environment = yaml.safe_load((repo / "envs" / "overtop.yaml").read_text())
    listed = environment["dependencies"][-1]["pip"]
    assert len(listed) > 10
    for requirement in listed:
        name, version = requirement.lower().replace("_", "-").split("==")
        assert pins[name] == version, f"envs/overtop.yaml: {requirement}"


def test_nothing_names_a_machine_of_ours(repo):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repo, capture_output=True, check=True).stdout.decode()
    named = [
        name
        for name in filter(None, listed.split("\0"))
        if (repo / name).is_file() and re.search(rb"/(wor" + rb"k|far" + rb"m)/", (repo / name).read_bytes())
    ]
    assert named == []


@pytest.mark.slow
def test_the_workflow_is_clean(repo):
    result = subprocess.run([BINARIES / "snakemake", "--lint"], cwd=repo, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def _words(command):
    """What a shell makes of a line: quotes, comments and braces."""
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True)
    return printed.stdout.split("\0")[:-1]


@pytest.mark.slow
def test_every_snakemake_command_of_the_readme_resolves(repo, fresh):
    blocks = re.findall(r"```(?:console|bash|sh)\n(.*?)```", (repo / "README.md").read_text(), re.S)
    commands = [
        _words(line.removeprefix("$ "))
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
        if line.removeprefix("$ ").startswith("snakemake ")
    ]
    assert len(commands) >= 4
    for command in commands:
        arguments = command[1:]
        if "--report" in arguments:  # a report is of what was built
            at = arguments.index("--report")
            del arguments[at : at + 2]
        if "--profile" in arguments:
            arguments += ["--executor", "local"]
        fresh.run(*arguments, "--dry-run")


@pytest.mark.slow
def test_a_report_is_made(tiny, copy_of):
    project = copy_of(tiny)
    project.run(*TINY, "--report", "report.html")
    assert "tiny-calibration.png" in (project.root / "report.html").read_text()


@pytest.mark.slow
def test_the_closing_summary_names_the_results(tiny, copy_of):
    project = copy_of(tiny)
    (project.root / "results/tables/tiny.csv").unlink()
    output = project.run(*TINY)
    assert "results/tables/tiny.csv" in output.stderr.split("overtop: done")[1]
