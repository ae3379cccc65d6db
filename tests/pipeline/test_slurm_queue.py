"""The queue of Slurm, against programs that answer like its clients."""

import getpass

import pytest

from overtop.pipeline.slurm_queue import QueuedJob, QueueWatch, jobs_of, read_queue

EMBED = "rule_embed_wildcards_shapes_test_shapes-0"


def test_jobs_of_a_folder_are_those_that_snakemake_submitted_there(clients, tmp_path):
    clients(squeue=f"34|{tmp_path}|{EMBED}|None\n35|/elsewhere|{EMBED}|None\n36|{tmp_path}|mine|Resources\n")
    (job,) = jobs_of(tmp_path, read_queue())
    assert job == QueuedJob("34", str(tmp_path), EMBED, "None")
    assert job.name == "embed/shapes_test_shapes-0"


def test_queue_is_asked_for_the_jobs_of_this_user(clients, tmp_path):
    clients(squeue=f'!echo "$*" > {tmp_path}/asked')
    assert read_queue("--states=all") == []
    asked = (tmp_path / "asked").read_text()
    assert f"--user={getpass.getuser()}" in asked
    assert asked.endswith(" --states=all\n")


@pytest.mark.parametrize("reason", ["JobHeldUser", "JobHeldAdmin", "launch failed requeued held"])
def test_a_held_job_is_named_once_with_its_reason(clients, tmp_path, reason):
    clients(squeue=f"34|{tmp_path}|{EMBED}|Resources\n36|{tmp_path}|{EMBED}|{reason}\n")
    watch = QueueWatch(tmp_path)
    line = f"Slurm holds embed/shapes_test_shapes-0 (job 36: {reason}); to let it run: scontrol release 36"
    assert watch.look(["34", "36"]) == ([line], set())
    assert watch.look(["34", "36"]) == ([], set())


def test_a_job_is_lost_if_two_looks_do_not_find_it(clients, tmp_path):
    clients(
        squeue="".join(f"{number}|{tmp_path}|{EMBED}|None\n" for number in ("7", "8_[2-3]", "8_1"))
        + "12|/other|mine|None\n"
    )
    watch = QueueWatch(tmp_path)
    assert watch.look(["7", "8_1", "8_3", "9", "10_1", "12"])[1] == set()
    assert watch.look(["7", "8_1", "8_3", "9", "10_1", "11", "12"])[1] == {"9", "10_1"}


def test_without_an_answer_no_job_is_lost(clients, tmp_path):
    watch = QueueWatch(tmp_path)
    clients()
    assert watch.look(["9"]) == ([], set())
    clients(squeue="!exit 1")
    assert watch.look(["9"]) == ([], set())
    clients()
    assert watch.look(["9"]) == ([], {"9"})
