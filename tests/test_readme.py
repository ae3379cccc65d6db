import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from snakemake.utils import update_config

from helpers.pipeline import read_committed_config
from overtop.pipeline.loading import load_config

MAX_LINES = 160


@pytest.fixture
def search(tmp_path, monkeypatch) -> Path:
    """The files that the examples of the README read: 300 items, and queries between easy and hopeless."""
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(300, 64))
    relevant = rng.integers(300, size=500)

    def draw_queries(items: np.ndarray) -> np.ndarray:
        noise = rng.normal(size=(len(items), 64)) * rng.uniform(0, 3, size=(len(items), 1))
        return gallery[items] + noise

    log = draw_queries(np.append(relevant, rng.integers(300, size=200)))
    arrays = {
        "gallery": gallery,
        "log": log,
        "labelled": log[:500],
        "relevant": relevant,
        "new": draw_queries(relevant),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    pd.DataFrame({"query": range(500), "relevant": relevant}).to_csv(tmp_path / "labels.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_section(repo: Path, heading: str) -> str:
    return (repo / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]


def test_readme_fits_on_a_few_screens(repo):
    assert len((repo / "README.md").read_text().splitlines()) <= MAX_LINES


def test_python_example_of_readme_runs(repo, search):
    [example] = re.findall(r"```python\n(.*?)```", (repo / "README.md").read_text(), re.S)
    names = {}
    exec(example, names)
    answers = names["answers"]
    columns = re.search(r"columns (.*)", example).group(1).split(", ")
    assert answers.columns.tolist() == columns
    assert len(answers) == 500
    assert 0 < answers["act"].mean() < 1
    assert (search / "trust.json").is_file()


def test_commands_of_readme_answer_new_queries(repo, search):
    [commands] = re.findall(r"```console\n(.*?)```", read_section(repo, "In your search"), re.S)
    for command in commands.splitlines():
        program, *arguments = command.split()
        assert program == "overtop"
        subprocess.run([sys.executable, "-m", "overtop", *arguments], cwd=search, check=True)
    answers = pd.read_parquet(search / "trust.parquet")
    hit = answers["top1"].to_numpy(dtype=int) == np.load(search / "relevant.npy")
    assert answers["act"].any()
    assert hit[answers["act"]].mean() >= 0.9


def console_lines(text: str) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    return [line for block in blocks for line in block.splitlines()]


def recipe(repo: Path, *arguments: str) -> str:
    """What a target of the Makefile would run, without the set-up of the environment."""
    made = [f"--old-file={name}" for name in (".venv/bin/python", ".venv/installed", ".venv/installed-attacks")]
    result = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *made, *arguments],
        cwd=repo,
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},  # tests run under make
    )
    return result.stdout


def test_every_command_of_readme_is_one_that_a_test_runs(repo):
    """`snakemake` and its targets: test_documented_snakemake_commands_resolve; the others: here."""
    lines = console_lines((repo / "README.md").read_text())
    others = [line for line in lines if not line.startswith(("snakemake ", "overtop "))]
    assert others == ["make demo", "make robustness", "source .venv/bin/activate", "make new DATA=/path/to/folder"]


def test_demo_ends_with_the_page_that_readme_names(repo):
    [command] = recipe(repo, "demo").splitlines()
    targets = command.split(" -- ")[1].split()
    assert targets[-1] == "results/reports/demo.html"
    section = read_section(repo, "First command")
    assert {"results/reports/demo.html", "results/tables/demo.csv"} <= set(targets)
    assert f"`{targets[-1]}`" in section


def test_robustness_writes_what_readme_names(repo):
    assert "results/robustness/scenes.csv" in recipe(repo, "robustness")
    assert "`results/robustness/scenes*`" in read_section(repo, "Does it hold under attack?")


def test_plan_of_readme_is_made_by_the_planner(repo):
    assert "`make plan\nTABLE=table1`" in (repo / "README.md").read_text()
    assert recipe(repo, "plan", "TABLE=table1").endswith("-m overtop.pipeline.plan results/tables/table1.csv \n")


def test_own_data_commands_of_readme_write_entries_that_the_pipeline_accepts(repo, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    rows = []
    for number in range(8):
        Image.new("RGB", (8, 8), (30 * number, 0, 0)).save(folder / f"{number}.png")
        rows.append((f"{number}.png", f"caption {number}"))
    pd.DataFrame(rows, columns=["image", "caption"]).to_csv(folder / "captions.csv", index=False)
    lines = console_lines(read_section(repo, "My data"))
    command = recipe(repo, lines[1].split()[1], f"DATA={folder}").splitlines()[-1]
    program, *arguments = shlex.split(command)
    assert Path(program).name == "overtop"
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "overtop", *arguments], check=True, capture_output=True)
    assert lines[2] == "snakemake --configfile mine.yaml"
    values = read_committed_config(repo)
    update_config(values, yaml.safe_load(Path("mine.yaml").read_text()))
    config = load_config(values)
    assert config.targets[0] == "results/reports/mine.html"
    assert {"mine"} <= set(config.datasets) & set(config.tables) & set(config.reports)
