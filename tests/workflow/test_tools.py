"""Features of Snakemake that users expect: lint, report, summary, documented commands."""

import re
import subprocess

import pytest
import yaml

from helpers.pipeline import BIN, TINY_CONFIG


def test_conda_environment_has_the_pinned_versions(repo):
    pins = dict(
        line.split("==") for line in (repo / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    )
    environment = yaml.safe_load((repo / "envs" / "overtop.yaml").read_text())
    listed = environment["dependencies"][-1]["pip"]
    assert len(listed) > 10
    for requirement in listed:
        name, version = requirement.lower().replace("_", "-").split("==")
        assert pins[name] == version, f"envs/overtop.yaml: {requirement}"


def test_no_file_contains_a_path_of_a_development_machine(repo):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repo, capture_output=True, check=True).stdout.decode()
    named = [
        name
        for name in filter(None, listed.split("\0"))
        if (repo / name).is_file() and re.search(rb"/(wor" + rb"k|far" + rb"m)/", (repo / name).read_bytes())
    ]
    assert named == []


@pytest.mark.slow
def test_workflow_passes_lint(repo):
    result = subprocess.run([BIN / "snakemake", "--lint"], cwd=repo, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def _shell_arguments(command):
    """The arguments that a shell makes of a line, with quotes, comments and braces."""
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True)
    return printed.stdout.split("\0")[:-1]


def _documented_commands(repo):
    """The arguments of every `snakemake ...` line in the console blocks of README and docs."""
    commands = set()
    for page in (repo / "README.md", repo / "CONTRIBUTING.md", *sorted((repo / "docs").glob("**/*.md"))):
        for block in re.findall(r"```(?:console|bash|sh)\n(.*?)```", page.read_text(), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if line.removeprefix("$ ").startswith("snakemake "):
                    commands.add(tuple(_shell_arguments(line.removeprefix("$ "))[1:]))
    return sorted(commands)


@pytest.mark.slow
def test_documented_snakemake_commands_resolve(repo, fresh):
    commands = _documented_commands(repo)
    assert len(commands) >= 4
    (fresh.root / "mine.yaml").write_text((repo / "docs" / "mine.yaml").read_text())  # as `make new` writes one
    for command in commands:
        arguments = list(command)
        if "--report" in arguments:  # a report needs a finished run
            position = arguments.index("--report")
            del arguments[position : position + 2]
        if "--profile" in arguments:
            arguments += ["--executor", "local"]
        run = fresh.run("--dry-run", *arguments, check=False)
        # Placeholders such as mirror=FOLDER do not exist, which is noticed only after the graph of jobs was built.
        lines = run.stderr.splitlines()[1:]
        assert run.returncode == 0 or all("does not exist" in line or "no mirror is set" in line for line in lines), (
            lines
        )


@pytest.mark.slow
def test_report_contains_figures(tiny, copy_of):
    project = copy_of(tiny)
    project.run(*TINY_CONFIG, "--report", "report.html")
    assert "tiny-calibration.png" in (project.root / "report.html").read_text()


@pytest.mark.slow
def test_closing_summary_lists_the_results(tiny, copy_of):
    project = copy_of(tiny)
    (project.root / "results/tables/tiny.csv").unlink()
    output = project.run(*TINY_CONFIG)
    assert "results/tables/tiny.csv" in output.stderr.split("overtop: done")[1]
