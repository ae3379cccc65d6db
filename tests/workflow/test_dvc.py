"""DVC: what it records, shares and restores is what Snakemake made, in clones, remotes, older commits and experiments.

Embeddings made elsewhere are used, so that no encoder runs.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import numpy as np
import pytest
import yaml
from moto.server import ThreadedMotoServer

from helpers.pipeline import ENVIRONMENT, copy_project, listed_jobs, read_committed_config
from overtop.pipeline.loading import load_config
from overtop.terms import MODALITIES

pytestmark = pytest.mark.slow

ENTRIES = {
    "datasets": {"planted": {"kind": "embeddings", "splits": {s: f"{s}.npz" for s in ("train", "val", "test")}}},
    "adapters": {"planted": {"dataset": "planted", "encoder": "imported", "epochs": 1}},
    "posteriors": {"adapted": {"like": "imported", "adapter": "planted"}},
    "tables": {
        "demo": {"datasets": ["planted"], "posteriors": ["imported", "adapted"]},
        "alike": {"like": "demo", "posteriors": ["imported"]},
    },
    "cascades": {"demo": {"dataset": "planted", "cheap": "imported", "expensive": "imported"}},
    "temperature": {"softmax": "fitted"},
    "evaluation": {"bootstrap": {"resamples": 100}},
}
"""Entries that are put into config.yaml: the demo's table and its figures show the planted embeddings."""

POSTERIORS_OF_FIGURES = "    posteriors: [shapes-ensemble]\n"
"""A line that is removed from config.yaml: the posteriors of the demo's figures, which its table then does not have."""

FURTHER_TARGETS = (
    "results/tables/alike.csv",
    "results/cascades/demo/curve.csv",
    "results/differences/demo.csv",
    "results/operating/planted/test/imported.csv",
)

JOBS = {
    "fetch": 3, "split": 3, "import_embeddings": 3, "adapt": 2, "spread": 1, "temperature": 2, "bank": 2, "rank": 3,
    "radius": 3, "score": 3, "evaluate": 2, "table": 2, "plot": 2, "compare": 1, "operate": 1, "cascade": 1,
    "report": 1,
}  # fmt: skip
"""Jobs of a run from nothing."""

CHANGED_FOLDERS = {
    "data/adapters",
    "results/cascades",
    "results/operating",
    "results/reports",
    "results/spread",
    "results/summaries",
    "results/tables",
    "results/temperatures",
}
"""Folders with results that differ between the two commits."""

IDENTITY = {f"GIT_{role}_{key}": "tests" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Clone:
    """A clone of the project's repository, and the environment of its commands."""

    root: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Run a command in the clone and return what it printed."""
        environment = self.environment | {"PYTHONPATH": str(self.root / "scripts")}
        result = subprocess.run(
            command, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert result.returncode == 0, result.stdout
        return result.stdout

    def clone(self, target: Path) -> "Clone":
        """Clone it without its results."""
        self.run("git", "clone", "--quiet", ".", str(target))
        return Clone(target, self.environment)

    def pull(self, target: Path) -> "Clone":
        """Clone it, and pull its results from the remote."""
        clone = self.clone(target)
        clone.run("dvc", "pull", "--quiet")
        return clone

    def commit(self, message: str) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def set_values(self, **replacements: str) -> None:
        """Replace single values of config.yaml, given as `key: value` by its name there."""
        path = self.root / "config.yaml"
        text = path.read_text()
        for old, new in replacements.items():
            assert text.count(old) == 1
            text = text.replace(old, new)
        path.write_text(text)

    def planned_jobs(self) -> Counter[str]:
        """Return the jobs that Snakemake would run for the default targets."""
        return listed_jobs(self.run("snakemake", "--dry-run"))

    def read_outputs(self) -> dict[str, bytes]:
        """Return the content of all files that DVC records, by path."""
        [stage] = yaml.safe_load((self.root / "dvc.yaml").read_text())["stages"].values()
        folders = [next(iter(entry)) for entry in [*stage["outs"], *stage["metrics"]]]
        files = [path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def assert_nothing_to_do(self) -> None:
        """Check that Snakemake and DVC both find everything up to date."""
        assert self.planned_jobs() == Counter()
        assert "up to date" in self.run("dvc", "status")
        assert "didn't change, skipping" in self.run("dvc", "repro")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a user whose mirror is set, and whose Python writes byte code; `snakemake` starts jobs as forks."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "mirror").mkdir()
    rng = np.random.default_rng(0)
    for name, items in {"train": 60, "val": 60, "test": 40, "val-2": 50}.items():
        image = rng.normal(size=(items, 16))
        text = image + 1.7 * rng.normal(size=(3, items, 16))
        np.savez(folder / "mirror" / f"{name}.npz", image=image + 0.2 * rng.normal(size=(3, items, 16)), text=text)
    script = folder / "snakemake"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} tests/helpers/forking_snakemake.py "$@"\n')
    script.chmod(0o755)
    environment = ENVIRONMENT | IDENTITY | {"OVERTOP_MIRROR": str(folder / "mirror"), "DVC_NO_ANALYTICS": "1"}
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def write_config(path: Path) -> None:
    """Put `ENTRIES` and `FURTHER_TARGETS` into config.yaml and leave the rest, its comments and its form as it is."""
    text = path.read_text()
    for section in ("tables", "cascades"):
        text = re.sub(rf"(\n{section}:\n(?:.+\n)*?)  demo:.*\n(?:    .+\n)*", r"\1", text, count=1)
    assert text.count(POSTERIORS_OF_FIGURES) == 1
    text = text.replace(POSTERIORS_OF_FIGURES, "")
    text = text.replace("\ntargets:\n", "\ntargets:\n" + "".join(f"  - {target}\n" for target in FURTHER_TARGETS))
    for section, entries in ENTRIES.items():
        lines = "".join(f"  {name}: {json.dumps(entry)}\n" for name, entry in entries.items())
        head = f"\n{section}:\n"
        text = text.replace(head, head + lines) if head in text else text + head + lines
    path.write_text(text)


@pytest.fixture(scope="module")
def built(repo: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A fresh clone in which `dvc repro` built and pushed everything, and what that printed; read-only."""
    folder = tmp_path_factory.mktemp("dvc")
    origin = Clone(copy_project(repo, folder / "origin").root, environment)
    write_config(origin.root / "config.yaml")
    origin.run("git", "init", "--quiet")
    origin.run("dvc", "remote", "add", "--quiet", "--default", "store", str(folder / "store"))
    origin.commit("project")
    clone = origin.clone(folder / "built")
    output = clone.run("dvc", "repro")
    clone.commit("results")
    clone.run("dvc", "push", "--quiet")
    return clone, output


def test_repro_of_a_fresh_clone_builds_the_targets_and_records_them(built):
    clone, output = built
    assert listed_jobs(output) == JOBS
    for target in load_config(read_committed_config(clone.root)).targets:
        assert (clone.root / target).is_file()
    clone.assert_nothing_to_do()
    assert clone.run("git", "status", "--porcelain") == ""


def test_pulled_results_are_up_to_date_and_a_change_runs_what_it_affects(built, environment, tmp_path):
    clone = built[0].pull(tmp_path / "clone")
    profile = clone.root / "workflow/profiles/slurm/config.yaml"
    profile.write_text(profile.read_text() + "\n# our partition\n")
    clone.assert_nothing_to_do()
    assert list(clone.root.glob("scripts/**/__pycache__")), "byte code would have been part of a dependency"
    clone.set_values(**{'"resamples": 100': '"resamples": 150'})
    expected = Counter({"evaluate": 2, "compare": 1, "cascade": 1, "table": 2, "plot": 2, "report": 1})
    assert listed_jobs(clone.run("snakemake", "--cores", "2")) == expected
    assert listed_jobs(clone.run("dvc", "repro")) == Counter(), "it records what was made by hand"
    assert "up to date" in clone.run("dvc", "status")


def test_raw_files_are_not_shared_and_are_fetched_again_when_they_are_read(built, environment, tmp_path):
    stored = {path.name for path in (built[0].root.parent / "store").rglob("*")}
    raw = list(Path(environment["OVERTOP_MIRROR"]).iterdir())
    assert not {hashlib.md5(path.read_bytes()).hexdigest()[2:] for path in raw} & stored
    clone = built[0].pull(tmp_path / "clone")
    before = clone.read_outputs()
    assert not (clone.root / "data/raw").exists()
    shards = [clone.root / f"results/embeddings/planted/train/imported/samples/{m}-0of1.h5" for m in MODALITIES]
    for shard in shards:
        shard.unlink()
    clone.set_values(**{'"epochs": 1': '"epochs": 2'})
    jobs = listed_jobs(clone.run("dvc", "repro"))
    assert set(jobs) == {
        "import_embeddings",
        "adapt",
        "spread",
        "score",
        "evaluate",
        "table",
        "plot",
        "compare",
        "report",
    }
    assert [path.name for path in clone.root.glob("data/raw/planted/*") if path.is_dir()] == ["train"]
    assert {path for path in changed_files(before, clone.read_outputs()) if "/embeddings/" in path} == set()


def test_checkout_of_an_older_commit_restores_every_result(built, tmp_path):
    """All kinds of results differ between two commits; after the checkout of the older, its adapter is computed on."""
    clone = built[0].pull(tmp_path / "clone")
    older = clone.read_outputs()
    clone.set_values(
        **{
            '"val": "val.npz"': '"val": "val-2.npz"',
            '"epochs": 1': '"epochs": 2',
            '"resamples": 100': '"resamples": 150',
        }
    )
    script = clone.root / "scripts/compare.py"
    script.write_text(script.read_text() + "# other code\n")
    clone.run("dvc", "repro")
    clone.commit("other data and values, and a script that the checkout makes newer than its results")
    newer = clone.read_outputs()
    folders = {"/".join(path.split("/")[:2]) for path in changed_files(older, newer)}
    assert folders >= CHANGED_FOLDERS
    clone.run("git", "checkout", "--quiet", "HEAD~1")
    clone.run("dvc", "checkout", "--quiet")
    assert changed_files(older, clone.read_outputs()) == set()
    clone.assert_nothing_to_do()
    clone.set_values(**{"  - energy\n": ""})
    jobs = listed_jobs(clone.run("dvc", "repro"))
    assert set(jobs) == {"score", "evaluate", "table", "plot", "compare", "operate", "cascade", "report"}
    clone.run("git", "checkout", "--quiet", "--force", "-")
    clone.run("dvc", "checkout", "--quiet", "--force")
    assert changed_files(newer, clone.read_outputs()) == set()
    clone.assert_nothing_to_do()
    script.write_text(script.read_text() + "# changed\n")
    assert clone.planned_jobs() == Counter({"compare": 1})


def test_bucket_holds_the_results_of_a_clone(built, tmp_path, monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        bucket = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}
        clone = replace(built[0].pull(tmp_path / "clone"), environment=built[0].environment | bucket)
        client = boto3.client(
            "s3", endpoint_url=f"http://{host}:{port}", aws_access_key_id="tests", aws_secret_access_key="tests"
        )
        client.create_bucket(Bucket="results")
        clone.run("dvc", "remote", "add", "--force", "--default", "store", "s3://results/overtop")
        clone.run("dvc", "remote", "modify", "store", "endpointurl", f"http://{host}:{port}")
        clone.commit("bucket")
        clone.run("dvc", "push", "--quiet")
        other = clone.pull(tmp_path / "other")
        assert changed_files(clone.read_outputs(), other.read_outputs()) == set()
        other.assert_nothing_to_do()
        assert "in sync" in other.run("dvc", "status", "--cloud")
    finally:
        server.stop()


def test_experiment_changes_all_entries_that_are_alike_and_is_compared(built, tmp_path):
    clone = built[0].pull(tmp_path / "clone")
    before = read_committed_config(clone.root)
    shown = ["top1_similarity", "top1_consistency", "adversarial_exact"]
    names = f"[{','.join(shown)}]"
    changes = (f"+tables.demo.estimators={names}", f"figures.demo-calibration.estimators={names}")
    output = clone.run("dvc", "exp", "run", *(part for each in changes for part in ("-S", f"config.yaml:{each}")))
    assert listed_jobs(output) == Counter({"table": 2, "compare": 1, "plot": 2, "report": 1})
    before["tables"]["demo"]["estimators"] = before["figures"]["demo-calibration"]["estimators"] = shown
    assert read_committed_config(clone.root) == before
    clone.assert_nothing_to_do()
    changes = json.loads(clone.run("dvc", "metrics", "diff", "--json"))
    assert set(changes) == {"results/summaries/alike.json", "results/summaries/demo.json"}
    assert "planted.t2i.adapted.aurc.max_softmax" in changes["results/summaries/demo.json"]
    assert "planted.t2i.imported.aurc" in clone.run("dvc", "exp", "show", "--csv", "--only-changed")
    for command in ("show", "diff"):
        assert "failed" not in clone.run("dvc", "plots", command, "--out", command)
        page = (clone.root / command / "index.html").read_text()
        assert "demo-rejection.png" in page
        assert "fraction_rejected" in page


def changed_files(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """Return the paths that are not in both, or differ."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
