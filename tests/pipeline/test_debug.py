"""Rule scripts that are started by hand."""

import subprocess
import sys

import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.pipeline.debug import build_job


def test_job_has_the_files_and_params_of_the_rule(repo, monkeypatch):
    monkeypatch.chdir(repo)
    job = build_job("results/rankings/shapes/test/shapes.h5", "rank.py", [], ["ranking={top: 20}"])
    assert job.output[0] == "results/rankings/shapes/test/shapes.h5"
    assert job.input.image == ["results/embeddings/shapes/test/shapes-0/deterministic/image-0of1.h5"]
    assert (job.params.top, job.params.passes) == (20, None)
    assert job.wildcards.posterior == "shapes"
    assert job.log[0] == "logs/rank/shapes/test/shapes.log"


def test_file_of_another_rule_is_an_error(repo, monkeypatch):
    monkeypatch.chdir(repo)
    with pytest.raises(OvertopError, match=r"results/tables/demo\.csv is not written by scripts/rank\.py"):
        build_job("results/tables/demo.csv", "rank.py", [], [])


def test_folder_without_workflow_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OvertopError, match="run the script in the root folder"):
        build_job("results/tables/demo.csv", "table.py", [], [])


@pytest.mark.slow
def test_script_run_by_hand_writes_the_same_file(tiny, copy_of):
    project = copy_of(tiny)
    table = project.root / "results/tables/tiny.csv"
    before = table.read_bytes()
    table.unlink()
    arguments = ["scripts/table.py", "results/tables/tiny.csv", "--configfile", "tests/workflow/tiny.yaml"]
    subprocess.run([sys.executable, *arguments], cwd=project.root, check=True)
    assert table.read_bytes() == before
    assert len(pd.read_csv(table)) > 10
