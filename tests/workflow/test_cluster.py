"""Runs on a cluster, as far as they can be tried without one: programs answer like Slurm's clients."""

import json

import numpy as np
import pytest

from helpers.pipeline import ENVIRONMENT
from helpers.slurm_clients import write_clients

pytestmark = pytest.mark.slow


@pytest.fixture
def damaged(fresh):
    """A project whose first job ends with an error in its input, and the arguments that start it."""
    image = np.full((3, 4), np.nan)
    np.savez(fresh.root / "mine.npz", image=image, text=image, filenames=np.array(["a", "b", "c"]))
    datasets = {"mine": {"kind": "embeddings", "splits": {"test": str(fresh.root / "mine.npz")}}}
    target = "results/embeddings/mine/test/imported/samples/image-0of1.h5"
    return fresh, (target, "--config", f"datasets={json.dumps(datasets)}")


def test_an_error_in_the_input_is_not_tried_again(damaged):
    project, arguments = damaged
    output = project.run(*arguments, "--retries", "2", check=False).stderr
    assert output.count("the embedding of image 'a' is zero or not finite") == 1
    assert "is tried again" not in output


def test_a_run_that_slurm_could_not_finish_submits_nothing(damaged, tmp_path):
    project, arguments = damaged
    clients = write_clients(tmp_path / "bin", {"sbatch": f"!touch {tmp_path}/submitted"})
    environment = {**ENVIRONMENT, "PATH": f"{clients}:{ENVIRONMENT['PATH']}"}
    slurm = ("--profile", "slurm", "--set-resources", "import_embeddings:mem_mb=50000*attempt")
    result = project.run(*arguments, *slurm, check=False, environment=environment)
    assert result.returncode != 0
    assert "rule import_embeddings may request 150000 MB, partition main has 64000 MB for a job" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "submitted").exists()
    assert not (project.root / "data/raw/mine").exists()


def test_limits_of_the_profile_hold_for_every_attempt(damaged, tmp_path):
    project, arguments = damaged
    clients = write_clients(tmp_path / "bin", {"sbatch": f'!echo "$*" > {tmp_path}/submitted; exit 1'})
    environment = {**ENVIRONMENT, "PATH": f"{clients}:{ENVIRONMENT['PATH']}"}
    limits = ("--resources", "mem_mb=3000", "runtime=20")
    project.run(*arguments, "--profile", "slurm", *limits, check=False, environment=environment)
    submitted = (tmp_path / "submitted").read_text()
    assert "--mem 3000" in submitted
    assert "-t 20" in submitted
