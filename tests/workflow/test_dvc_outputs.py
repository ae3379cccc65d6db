"""The outputs of DVC's stage are the folders that rules write."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ResourceSettings

from helpers.pipeline import copy_project, read_committed_config
from overtop.pipeline import checkout

NOT_SHARED = {"data/raw", "data/downloads", "data/prefetch"}
"""Folders that no result depends on; dvc.yaml has the reasons."""

METADATA = ".snakemake/metadata"


def folders_of_rules(project: Path) -> Iterator[str]:
    """Yield the folder of each output of all rules: the first two parts of its path."""
    with contextlib.chdir(project), SnakemakeApi() as api:
        workflow = api.workflow(ResourceSettings(cores=1), snakefile=project / "workflow" / "Snakefile")
        for rule in workflow._workflow.rules:
            yield from ("/".join(Path(output).parts[:2]) for output in map(str, rule.output))


@pytest.fixture(scope="module")
def dvc(repo: Path) -> dict:
    """The content of dvc.yaml."""
    return yaml.safe_load((repo / "dvc.yaml").read_text())


@pytest.fixture(scope="module")
def stage(dvc: dict) -> dict:
    """DVC's only stage."""
    [stage] = dvc["stages"].values()
    return stage


@pytest.fixture(scope="module")
def outputs(stage: dict) -> dict[str, dict]:
    """The outputs of the stage with their flags, metrics among them."""
    return {path: flags for entry in [*stage["outs"], *stage["metrics"]] for path, flags in entry.items()}


def test_outputs_are_the_folders_that_rules_write(repo, outputs):
    written = set(folders_of_rules(repo))
    assert len(written) > 30
    assert sorted(outputs) == sorted(written - NOT_SHARED | {METADATA})


def test_rule_that_writes_another_folder_is_noticed(repo, tmp_path, outputs, monkeypatch):
    project = copy_project(repo, tmp_path)
    monkeypatch.setattr(checkout, "LIBRARY", project.root / "scripts" / "overtop")  # the same library
    with (project.root / "workflow" / "Snakefile").open("a") as snakefile:
        snakefile.write("\nrule novel:\n    output:\n        'results/novel/{table}.csv'\n")
    assert set(folders_of_rules(project.root)) - NOT_SHARED - set(outputs) == {"results/novel"}


def test_outputs_are_kept_between_runs_and_made_first(stage, outputs):
    """DVC would delete others before the command, and it demands that all exist after it."""
    assert all(flags == {"persist": True} for flags in outputs.values())
    make_folders, run = stage["cmd"]
    assert make_folders.split()[:2] == ["mkdir", "-p"]
    assert sorted(make_folders.split()[2:]) == sorted(outputs)
    assert run == "snakemake --cores all"


def test_dependencies_are_what_results_depend_on(repo, stage):
    """All of the workflow but its profiles: where jobs run changes no result."""
    parts = {f"workflow/{path.name}" for path in (repo / "workflow").iterdir()}
    settings_of_machines_and_reports = {"workflow/profiles", "workflow/report", "workflow/schemas"}
    assert set(stage["deps"]) == {"scripts"} | parts - settings_of_machines_and_reports
    assert stage["params"] == [{"config.yaml": None}]


def test_plots_are_those_of_the_default_targets(repo, dvc):
    plots = {Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in dvc["plots"]}
    targets = {Path(target) for target in read_committed_config(repo)["targets"]}
    assert {plot.with_suffix("") for plot in plots} == {
        target.with_suffix("") for target in targets if target.parent.name == "figures"
    }
