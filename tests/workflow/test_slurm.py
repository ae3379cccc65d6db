"""The pipeline on a real Slurm: what is submitted, what is killed, and what is lost (nothing).

The tests install and start a Slurm of their own on this machine, with two GPUs that are none.
"""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import ENVIRONMENT, TINY_CONFIG, Project, copy_project
from helpers.slurm import output_of, reason_to_skip, running_slurm, wait_until

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()),
]

# The node has two CPUs; jobs of seconds need no long pauses between looks at the queue.
ON_SLURM = ("--profile", "slurm", "--max-threads", "2", "--slurm-init-seconds-before-status-checks", "5")

TRAINED = "data/encoders/tiny-0.safetensors"
TRAIN = "rule_train_wildcards_tiny-0"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with running_slurm(tmp_path_factory.mktemp("slurm") / "state") as running:
        yield running


@pytest.fixture(autouse=True)
def idle(slurm):
    """Every test begins and ends with an open partition and no jobs."""
    _open(True)
    yield
    while HEADS:
        HEADS.pop().kill()
    _open(True)
    slurm.forget()


@pytest.fixture(scope="module")
def splits(repo, tmp_path_factory):
    """A project with the splits that training reads."""
    project = copy_project(repo, tmp_path_factory.mktemp("slurm") / "splits")
    project.run(*(f"data/splits/shapes/{split}.parquet" for split in ("train", "val")), *TINY_CONFIG)
    return project


@pytest.fixture
def project(splits, copy_of):
    return copy_of(splits)


def _open(is_open):
    """Open the partition, or let jobs wait."""
    output_of("scontrol", "update", "PartitionName=main", f"State={'UP' if is_open else 'DOWN'}")


HEADS: list[subprocess.Popen] = []
"""The heads of a test, which end with it."""


class Head:
    """A Snakemake that submits jobs, in the background; its messages are in a file."""

    def __init__(self, project, *arguments):
        self.root, self.log = project.root, project.root / "head.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*project.snakemake, *arguments, *ON_SLURM], cwd=project.root, env=ENVIRONMENT, stdout=log, stderr=log
            )
        HEADS.append(self.process)

    def end(self):
        """Wait for the end, and return the exit status and the messages."""
        return self.process.wait(timeout=1800), self.log.read_text()

    def snakemake_log(self):
        """Snakemake's own text so far."""
        return max((self.root / ".snakemake/log").iterdir()).read_text()


def _submitted(slurm, known):
    """Ids of the jobs beyond those known, by comment."""
    jobs = {}
    for number, _, comment in slurm.jobs():
        if number not in known:
            jobs.setdefault(comment, []).append(number)
    return jobs


def _known(slurm):
    return {job[0] for job in slurm.jobs()}


def _wait_for_train(slurm, known, state):
    wait_until(
        lambda: any(job[1:] == [state, TRAIN] for job in slurm.jobs() if job[0] not in known), f"a job {state}", 300
    )
    return _submitted(slurm, known)[TRAIN][-1]


def _start_with_pending_job(slurm, project, known):
    """A head whose one job waits in the queue of a closed partition."""
    _open(False)
    head = Head(project, TRAINED, *TINY_CONFIG)
    _wait_for_train(slurm, known, "PENDING")
    wait_until(lambda: "SLURM jobid" in head.snakemake_log(), "the head to know its job")
    return head


def _write_embeddings(project, **changes):
    """A data set of imported embeddings, and the arguments that build its table."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(40, 8)).astype(np.float32)
    arrays = {"image": image, "text": image + 0.5 * rng.normal(size=image.shape).astype(np.float32)} | changes
    np.savez(project.root / "mine.npz", **arrays)
    splits = {"test": str(project.root / "mine.npz")}
    datasets = {"mine": {"kind": "embeddings", "splits": splits}}
    tables = {"mine": {"datasets": ["mine"], "posteriors": ["imported"], "positives": ["labelled"]}}
    (project.root / "mine.json").write_text(json.dumps({"datasets": datasets, "tables": tables}))
    return ("results/tables/mine.csv", "--configfile", "mine.json")


def _overlay(project, **encoder):
    """The tiny configuration with another recipe of its first encoder."""
    recipe = {"dataset": "shapes", "seed": 0, "epochs": 1, "batch_size": 32, "threads": 1} | encoder
    overlay = {"encoders": {"tiny-0": {"architecture": "shapes-vit", "train": recipe}}}
    (project.root / "overlay.json").write_text(json.dumps(overlay))
    return (TRAINED, *TINY_CONFIG, "overlay.json")


def test_imported_embeddings_have_their_table_from_five_submissions(slurm, fresh):
    known = _known(slurm)
    status, messages = Head(fresh, *_write_embeddings(fresh)).end()
    assert status == 0, messages
    assert len(pd.read_csv(fresh.root / "results/tables/mine.csv")) > 0
    submitted = _submitted(slurm, known)
    rules = sorted(comment.split("_wildcards")[0] for comment in submitted)
    assert rules == ["rule_import_embeddings", "rule_radius", "rule_rank", "rule_scoring_evaluate_score", "rule_split"]
    assert all(len(numbers) == 1 for numbers in submitted.values())
    assert fresh.planned_jobs("results/tables/mine.csv", "--configfile", "mine.json") == {}


def test_an_error_in_the_input_is_submitted_once(slurm, fresh):
    known = _known(slurm)
    image = np.full((40, 8), np.nan, np.float32)
    status, messages = Head(fresh, *_write_embeddings(fresh, image=image)).end()
    assert status != 0
    assert messages.count("is zero or not finite") == 1
    assert "is tried again" not in messages
    assert all(len(numbers) == 1 for numbers in _submitted(slurm, known).values())


def test_an_array_of_gpu_jobs_gives_the_bytes_of_a_local_run(slurm, splits, project):
    known = _known(slurm)
    embedded = [f"results/embeddings/shapes/test/tiny-0/deterministic/image-{shard}of2.h5" for shard in (0, 1)]
    status, messages = Head(project, *embedded, *TINY_CONFIG, "--slurm-array-jobs", "embed").end()
    assert status == 0, messages
    submitted = _submitted(slurm, known)
    arrays = [number for comment, numbers in submitted.items() if "rule_embed" in comment for number in numbers]
    assert [number.partition("_")[2] for number in sorted(arrays)] == ["1", "2"]
    gpus = slurm.gpus()
    assert {gpus[number] for number in [*arrays, *submitted[TRAIN]]} == {"gres:gpu:1"}
    local = Project(shutil.copytree(splits.root, project.root.with_name("local"), symlinks=True))
    local.run(*embedded, *TINY_CONFIG)
    assert project.read_files(TRAINED, *embedded) == local.read_files(TRAINED, *embedded)


def test_tiny_run_finishes_from_the_submissions_of_its_rules(slurm, fresh):
    known = _known(slurm)
    planned = fresh.planned_jobs(*TINY_CONFIG)
    status, messages = Head(fresh, *TINY_CONFIG).end()
    assert status == 0, messages
    submitted = [number for numbers in _submitted(slurm, known).values() for number in numbers]
    local = sum(planned[rule] for rule in ("fetch", "table", "plot"))
    assert len(submitted) == planned.total() - local - planned["evaluate"]
    assert fresh.planned_jobs(*TINY_CONFIG) == {}


def test_a_job_over_its_memory_is_named_and_succeeds_with_more(slurm, project):
    known = _known(slurm)
    status, messages = Head(project, TRAINED, *TINY_CONFIG, "--set-resources", "train:mem_mb=500*attempt**4").end()
    assert status == 0, messages
    assert "was killed for memory: it requested mem_mb=500" in messages
    assert len(_submitted(slurm, known)[TRAIN]) == 2


def test_a_job_over_its_time_is_named(slurm, project):
    arguments = (*_overlay(project, epochs=100_000), "--set-resources", "train:runtime=1", "--retries", "0")
    status, messages = Head(project, *arguments).end()
    assert status != 0
    assert "was killed for run time: it requested runtime=1" in messages


def test_a_cancelled_job_is_submitted_again_and_asks_for_no_gpu_where_there_is_none(slurm, project):
    known = _known(slurm)
    _open(False)
    head = Head(project, TRAINED, *TINY_CONFIG, "--set-resources", "train:gpu=0")
    first = _wait_for_train(slurm, known, "PENDING")
    output_of("scancel", first)
    wait_until(lambda: len(_submitted(slurm, known)[TRAIN]) == 2, "the second submission", 120)
    assert slurm.gpus()[first] == "N/A"
    _open(True)
    status, messages = head.end()
    assert status == 0, messages
    assert "CANCELLED" in messages


def test_a_held_job_is_named_once_and_the_run_goes_on_when_it_is_released(slurm, project):
    head = _start_with_pending_job(slurm, project, known := _known(slurm))
    (number,) = _submitted(slurm, known)[TRAIN]
    output_of("scontrol", "hold", number)
    wait_until(lambda: "Slurm holds" in head.log.read_text(), "the line", 120)
    _open(True)
    time.sleep(15)  # the head looks at the queue every five seconds
    assert slurm.jobs("PENDING") == [[number, "PENDING", TRAIN]]
    output_of("scontrol", "release", number)
    status, messages = head.end()
    assert status == 0, messages
    assert messages.count(f"to let it run: scontrol release {number}") == 1


def test_a_job_that_the_controller_forgot_is_submitted_again(slurm, project):
    head = _start_with_pending_job(slurm, project, known := _known(slurm))
    (number,) = _submitted(slurm, known)[TRAIN]
    slurm.kill("slurmctld")
    for saved in (slurm.state / "controller").glob("job_state*"):
        saved.unlink()
    slurm.start("slurmctld")
    _open(True)
    status, messages = head.end()
    assert status == 0, messages
    assert f"Slurm lists job {number} no more" in messages


def test_after_a_kill_of_the_head_nothing_is_thrown_away_or_submitted_twice(slurm, project):
    known = _known(slurm)
    _open(False)
    command = (TRAINED, *TINY_CONFIG)
    head = Head(project, *command)
    number = _wait_for_train(slurm, known, "PENDING")
    # Until then the head writes down what it submitted.
    wait_until(lambda: f"SLURM jobid {number}" in head.snakemake_log(), "the head to know its job")
    head.process.kill()
    head.process.wait()
    status, messages = Head(project, *command).end()
    assert status != 0
    assert (
        f"1 jobs of this folder are in the queue, from a Snakemake that was killed: {number} train/tiny-0" in messages
    )
    assert f"scancel {number}" in messages
    _open(True)
    wait_until(lambda: not slurm.jobs("PENDING", "RUNNING", "COMPLETING"), "the job", 300)
    trained = (project.root / TRAINED).stat()
    status, messages = Head(project, *command).end()
    assert status == 0, messages
    assert (project.root / TRAINED).stat().st_mtime_ns == trained.st_mtime_ns
    assert _submitted(slurm, known) == {TRAIN: [number]}
    assert "missing provenance" not in project.run(*command, "--dry-run").stderr
    assert project.planned_jobs(*_overlay(project, epochs=2)) == {"train": 1}


@pytest.mark.parametrize("daemon", ["slurmctld", "slurmd"])
def test_a_run_survives_a_kill_of_a_daemon(slurm, project, daemon):
    known = _known(slurm)
    head = Head(project, *_overlay(project, epochs=40))
    number = _wait_for_train(slurm, known, "RUNNING")
    # Before, Slurm itself gives up: a controller that is killed while it starts a job holds the job after its return.
    wait_until(lambda: slurm.runs_step(number), "the program of the job", 120)
    slurm.kill(daemon)
    # The head looks at the queue every five seconds.
    time.sleep(15)
    slurm.start(daemon)
    status, messages = head.end()
    assert status == 0, messages
    assert len(_submitted(slurm, known)[TRAIN]) == 1


def test_an_interrupt_cancels_the_jobs(slurm, project):
    # A shell starts background processes with ignored interrupts, which children inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    known = _known(slurm)
    head = _start_with_pending_job(slurm, project, known)
    os.kill(head.process.pid, signal.SIGINT)
    status, _ = head.end()
    assert status != 0
    wait_until(lambda: not slurm.jobs("PENDING", "RUNNING"), "the end of the jobs")


def test_a_request_to_terminate_lets_the_jobs_finish(slurm, project):
    known = _known(slurm)
    head = _start_with_pending_job(slurm, project, known)
    os.kill(head.process.pid, signal.SIGTERM)
    _open(True)
    head.end()
    assert (project.root / TRAINED).exists()
    assert Head(project, TRAINED, *TINY_CONFIG).end()[0] == 0
    assert len(_submitted(slurm, known)[TRAIN]) == 1


def test_requests_beyond_the_partition_end_the_run_before_it_submits(slurm, project):
    known = _known(slurm)
    status, messages = Head(project, TRAINED, *TINY_CONFIG, "--set-resources", "train:mem_mb=100000").end()
    assert status != 0
    assert "rule train may request 100000 MB, partition main has 64000 MB for a job" in messages
    assert _submitted(slurm, known) == {}
