"""Jobs of rule scripts that are started by hand; tests/workflow/test_by_hand.py runs one."""

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
