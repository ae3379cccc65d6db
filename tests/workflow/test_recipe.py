"""The recipe of UCAT: the list of jobs from a fresh clone, and a small edition of it against a fake server."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

from helpers.class_sources import write_class_sources
from helpers.fake_server import FakeServer
from helpers.pipeline import ENVIRONMENT, Project, copy_project

pytestmark = pytest.mark.slow

STUDY = [f"results/robustness/ucat{end}" for end in (".csv", "-calibration.csv", "-uncertainty.csv", "-checks.csv")]
SHARDED = {"tinyimagenet": 2, "sun397": 8, "food101": 2, "imagenet": 4, "caltech256": 2, "pcam": 2}
"""Data sets that are embedded and attacked in several slices."""
SETS, MODELS = 16, 7
IMAGE_SHARDS = SETS - len(SHARDED) + sum(SHARDED.values())
COCO_SHARDS = 2
ATTACKS = ("pgd100-1", "cw100-1", "aa-published-1", "aa-1", "pgd10-1", "pgd100-2")
PARTS = ("apgd-ce-1", "apgd-dlr-1", "apgd-t-1")
"""Attacks that the worst cases are made of."""
ON_COCO = ("pgd100-1", "cw100-1", "pgd10-1", "pgd100-2")
"""Those that can attack images of several labels."""


def _documented_jobs(repo: Path) -> dict[str, int]:
    """The table of jobs in docs/robustness-recipe.md."""
    table = (repo / "docs/robustness-recipe.md").read_text().split("## Jobs")[1].split("Of the `attack` jobs")[0]
    cells = re.findall(r"\| (`[^|]*`) \| ([\d, ]+) (?=\|)", table)
    jobs = ((re.findall(r"`(\w+)`", names), re.findall(r"[\d,]+(?<!,)", counts)) for names, counts in cells)
    return {name: int(count.replace(",", "")) for row in jobs for name, count in zip(*row, strict=True)}


def test_study_has_expected_jobs(repo, fresh):
    views = MODELS * SETS * (1 + len(ATTACKS))
    coco_views = MODELS * (1 + len(ON_COCO))
    jobs = fresh.planned_jobs(*STUDY)
    assert jobs == _documented_jobs(repo)
    assert jobs == {
        "fetch": SETS + 2 + 1,  # train and val of TinyImageNet, and COCO
        "split": SETS + 2 + 1,
        "weights": 1,
        "finetune": MODELS - 1,
        # Test splits and COCO, and TinyImageNet's val split, on which temperatures are fitted.
        "embed": MODELS * (IMAGE_SHARDS + COCO_SHARDS + SHARDED["tinyimagenet"]),
        "attack": MODELS * (IMAGE_SHARDS * len(ATTACKS + PARTS) + COCO_SHARDS * len(ON_COCO)),
        "temperature": MODELS,
        "predict": views + coco_views,
        "multilabel": coco_views,
        "rank": views,
        "radius": views,
        "score": views,
        "robustness": 1,
        "view_calibration": 1,
        "attack_effects": 1,
    }


def test_ablation_and_second_setting_share_what_they_have_in_common(fresh):
    """On one data set, in one shard: its number of attack jobs is that of pairs of encoder and attack."""
    studies = ("ucat-ablation", "ucat-eps2")
    on_one_set = ", ".join(f"{study}: {{datasets: [dtd], multilabel: []}}" for study in studies)
    targets = [f"results/robustness/{study}.csv" for study in studies]
    jobs = fresh.planned_jobs(*targets, "--config", f"robustness={{{on_one_set}}}")
    at_epsilon_1, at_epsilon_2 = 6, 10
    attacks = len(ATTACKS + PARTS)
    assert jobs["finetune"] == at_epsilon_1 + at_epsilon_2
    # Each study has one attack with the epsilon of the other, so that the undefended encoder shares two.
    assert jobs["attack"] == (at_epsilon_1 + at_epsilon_2) * attacks + 2 * attacks - 2


@dataclass(frozen=True)
class Recipe:
    """A checkout configured to download from a fake server."""

    project: Project
    server: FakeServer
    environment: dict[str, str]

    FILES = ("--configfile", "tests/workflow/reduced_recipe.yaml", "sources.json")
    STUDIES = (*(target.replace("/ucat", "/small") for target in STUDY if "uncertainty" not in target),)
    TARGETS = (*STUDIES, "results/robustness/smaller-uncertainty.csv", "data/encoders/b32-ucat.safetensors")

    def run(self, *targets: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Build targets of the small edition; `variables` are of the environment."""
        return self.project.run(*targets, *self.FILES, check=check, environment=self.environment | variables)

    def in_copy(self, root: Path) -> "Recipe":
        """The same in a copy of the project, with what was built."""
        shutil.copytree(self.project.root, root, symlinks=True)
        return replace(self, project=replace(self.project, root=root))

    def read(self, name: str) -> pd.DataFrame:
        """A table of results."""
        return pd.read_csv(self.project.root / "results/robustness" / name)


@pytest.fixture(scope="module")
def empty(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recipe]:
    """Nothing built; read-only."""
    root = tmp_path_factory.mktemp("recipe")
    write_class_sources(root / "sources")
    with FakeServer(root / "sources") as server:
        project = replace(copy_project(repo, root / "project"), forks_jobs=True)
        files = {
            "tinyimagenet-zip": "tiny-imagenet-200.zip",
            "caltech256-tar": "256_ObjectCategories.tar",
            "coco-val2017": "val2017.zip",
            "coco-annotations2017": "annotations_trainval2017.zip",
        }
        sources = {
            name: {"addresses": [f"{server.url}/files/{file}"], "bytes": None, "sha256": None, "md5": None}
            for name, file in files.items()
        }
        (project.root / "sources.json").write_text(json.dumps({"sources": sources}))
        hub = {key: value for key, value in server.environment(root / "home").items() if "HF_" in key}
        yield Recipe(project, server, {**ENVIRONMENT, **hub, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def built(empty: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """From downloads to tables; read-only."""
    recipe = empty.in_copy(tmp_path_factory.mktemp("built") / "project")
    recipe.run(*recipe.TARGETS)
    return recipe


def test_missing_attack_package_is_one_error_before_any_job(empty, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['pyautoattack'] = None")
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    target = "results/predictions/cifar10/test/b32-openai@aa-published-1.parquet"
    run = empty.in_copy(tmp_path / "project").run(target, check=False, PYTHONPATH=path)
    assert run.returncode != 0
    assert "pip install 'overtop[attacks]'" in run.stderr
    assert not empty.server.requests_for("nshards.txt")


def test_study_has_all_tables(built):
    table, checks, calibration = (built.read(f"small{end}.csv") for end in ("", "-checks", "-calibration"))
    assert set(table["dataset"]) == {"average", "tinyimagenet", "cifar10", "caltech256", "coco-labels"}
    accuracy = table[table["measure"] == "accuracy"].set_index(["dataset", "model", "view"])["value"]
    on_trained = accuracy["tinyimagenet"]
    assert on_trained["UCAT", "clean"] > on_trained["CLIP", "clean"] + 0.2  # of six colours, against random weights
    assert on_trained["UCAT", "aa-published-1"] < on_trained["UCAT", "clean"]
    assert (accuracy.xs("aa-published-1", level="view") <= accuracy.xs("clean", level="view")).all()
    multilabel = table[table["dataset"] == "coco-labels"]
    assert set(multilabel["view"]) == {"clean", "pgd100-1"}
    # The small sets are not the paper's 16, so that their average is not beside the paper's.
    assert table["paper_value"].isna().all()
    assert set(checks.loc[checks["check"].isin(["ball", "worst_case"]), "result"]) == {"passed"}
    assert set(calibration["probability"]) == {"model", "fitted", "dirichlet"}
    assert set(built.read("smaller-uncertainty.csv")["model"]) == {"CLIP", "UCAT"}
    root = built.project.root / "results/robustness"
    assert all((root / name).stat().st_size for name in ("small.md", "small.tex", "small-calibration.md"))


def test_second_run_does_nothing(built):
    assert built.project.planned_jobs(*built.TARGETS, *built.FILES) == {}


def test_killed_fine_tuning_continues_and_ends_with_the_same_bytes(built, tmp_path):
    recipe = built.in_copy(tmp_path / "project")
    recipe = replace(recipe, project=Project(recipe.project.root))  # one job, for which forks save nothing
    checkpoint = recipe.project.root / "data/encoders/b32-ucat.safetensors"
    log = recipe.project.root / "results/training/b32-ucat.csv"
    expected = checkpoint.read_bytes(), log.read_bytes()
    checkpoint.unlink()
    log.unlink()
    command = [*recipe.project.snakemake, str(checkpoint.relative_to(recipe.project.root)), *recipe.FILES]
    with subprocess.Popen(
        command,
        cwd=recipe.project.root,
        env=recipe.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        state, deadline = checkpoint.with_name(".b32-ucat.state"), time.monotonic() + 300
        while not state.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    assert state.exists(), "the job ended before it could be killed"
    assert not checkpoint.exists()
    recipe.run("--unlock")
    recipe.run(str(checkpoint.relative_to(recipe.project.root)))
    assert "continues after step" in (recipe.project.root / "logs/finetune/b32-ucat.log").read_text()
    assert (checkpoint.read_bytes(), log.read_bytes()) == expected
