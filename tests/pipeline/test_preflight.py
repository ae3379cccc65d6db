"""Checks before the first job is submitted, against programs that answer like Slurm's clients."""

import pytest

from helpers.slurm_clients import NODE, write_clients
from overtop.errors import OvertopError
from overtop.pipeline import slurm
from overtop.pipeline.preflight import Request, check_arrays, check_requests, find_problems
from overtop.pipeline.slurm import Node, Partition, parse_minutes
from overtop.pipeline.slurm_queue import read_queue

SMALL = Request("rank", "main", 2, 4000, 30, 0)
PARTITIONS = {"main": Partition(1440, None, (Node(2, 8000, 0), Node(8, 64000, 2)))}


def test_a_request_that_fits_has_no_problem(clients):
    folder = clients()
    assert find_problems(folder, [SMALL]) == []


def test_a_machine_without_slurm_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (problem,) = find_problems(tmp_path, [SMALL])
    assert problem.startswith("no Slurm on this machine")
    assert "--profile slurm" in problem


def test_a_controller_that_refuses_is_named_with_its_reason(clients):
    folder = clients(squeue="!echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    (problem,) = find_problems(folder, [SMALL])
    assert "does not answer" in problem
    assert "Unable to contact slurm controller" in problem


def test_a_controller_that_never_answers_is_named(clients, monkeypatch):
    monkeypatch.setattr(slurm, "TIMEOUT", 0.2)
    folder = clients(squeue="!exec sleep 30")
    (problem,) = find_problems(folder, [SMALL])
    assert "does not answer (squeue" in problem


def test_jobs_of_a_killed_run_are_named_and_those_of_other_folders_are_not(clients, tmp_path):
    train = "rule_train_wildcards_shapes"
    clients(squeue=f"34|{tmp_path}|{train}-2|None\n35|/elsewhere|{train}-1|None\n36|{tmp_path}|mine|None\n")
    (problem,) = find_problems(tmp_path, [SMALL])
    assert problem.startswith("1 jobs of this folder are in the queue")
    assert "34 train/shapes-2" in problem
    assert "`scancel 34`" in problem


def test_partitions_are_read_with_their_limits_and_nodes(clients):
    clients(sinfo=NODE + "main|96|512000|gpu:a100:4(S:0-1),nvme:1\n")
    assert slurm.read_partitions() == {
        "main": Partition(1440, None, (Node(2, 64000, 2), Node(96, 512000, 4))),
    }


def test_an_unknown_partition_is_named_with_the_similar_one():
    (problem,) = check_requests([SMALL._replace(partition="man")], PARTITIONS)
    assert "no partition 'man'; did you mean 'main'?" in problem


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"cpus": 16}, "max-threads: 8"),
        ({"mem_mb": 96000}, "mem_mb: 64000"),
        ({"runtime": 2160}, "runtime: 1440"),
        ({"gpus": 4}, "gpu: 2"),
    ],
)
def test_a_request_beyond_the_partition_names_the_setting(change, setting):
    (problem,) = check_requests([SMALL, SMALL._replace(rule="adapt", **change), SMALL], PARTITIONS)
    assert problem.startswith("rule adapt may request")
    assert f"`{setting}`" in problem


def test_memory_of_a_job_is_limited_by_the_partition_too():
    partitions = {"main": PARTITIONS["main"]._replace(mem_mb=3000)}
    (problem,) = check_requests([SMALL], partitions)
    assert "main has 3000 MB" in problem


def test_a_partition_that_the_cluster_chooses_is_not_checked():
    assert check_requests([SMALL._replace(partition="", cpus=1000)], PARTITIONS) == []


def test_limits_under_which_an_array_would_never_be_complete_are_named():
    embed = [SMALL._replace(rule="embed", gpus=1)] * 9
    assert check_arrays(embed, jobs=64, gpus=None) == check_arrays(embed, jobs=9, gpus=9) == []
    (problem,) = check_arrays(embed, jobs=64, gpus=8)
    assert "`--jobs 9 --resources gpu=9`" in problem
    assert check_arrays(embed, jobs=8, gpus=None) == [problem]


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("UNLIMITED", None), ("30:00", 30), ("4:00:00", 240), ("1-00:00:00", 1440), ("2-12:30", 3630), ("infinite", None)],
)
def test_time_limits_are_minutes(limit, minutes):
    assert parse_minutes(limit) == minutes


@pytest.mark.parametrize(
    ("gres", "count"),
    [("(null)", 0), ("gpu:2", 2), ("gpu", 1), ("gpu:a100:4(S:0-1),nvme:1", 4), ("gpu:a:1,gpu:b:2", 3)],
)
def test_gpus_of_a_node_are_counted(gres, count):
    assert slurm._count_gpus(gres) == count


def test_accounts_are_used_only_where_a_database_answers(clients):
    database = "!echo 'AccountingStorageType = accounting_storage/slurmdbd'"
    clients(scontrol=database)
    assert slurm.keeps_accounts()
    clients(scontrol=database, sacct="!exit 1")
    assert not slurm.keeps_accounts()
    clients()
    assert not slurm.keeps_accounts()


def test_a_cluster_that_forgets_finished_jobs_is_named(clients):
    folder = clients(scontrol="!echo 'PartitionName=main MaxTime=UNLIMITED'; echo 'MinJobAge = 10 sec'")
    (problem,) = find_problems(folder, [SMALL])
    assert "forgets finished jobs after 10 s" in problem


def test_a_missing_client_is_named(tmp_path, monkeypatch):
    folder = write_clients(tmp_path / "bin")
    (folder / "squeue").unlink()
    monkeypatch.setenv("PATH", f"{folder}:/usr/sbin:/sbin")
    with pytest.raises(OvertopError, match="without squeue"):
        read_queue()
