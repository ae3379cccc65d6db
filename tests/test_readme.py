import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
