"""Jobs that Slurm killed are named, from its logs."""

import os

import pytest

from overtop.pipeline.kills import describe_kills

RESOURCES = "rule train:\n    resources: tmpdir=/tmp, mem_mb=300, mem=300 MB, mem_mib=287, runtime=7, gpu=1\n"


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("slurmstepd: error: Exceeded job memory limit", "memory: it requested mem_mb=300"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=43.0", "memory: it requested mem_mb=300"),
        (
            "slurmstepd: error: *** JOB 43 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
            "run time: it requested runtime=7",
        ),
        (
            "slurmstepd: error: *** JOB 43 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO NODE FAILURE ***",
            "a failure of its node;",
        ),
    ],
)
def test_a_killed_job_is_named_with_its_cause_and_request(tmp_path, message, cause):
    log = tmp_path / "rule_train" / "shapes-2" / "43.log"
    log.parent.mkdir(parents=True)
    log.write_text(RESOURCES + message + "\n")
    (line,) = describe_kills(0, tmp_path)
    assert line.startswith(f"train/shapes-2 (Slurm job 43) was killed for {cause}")
    assert str(log) in line


def test_a_kill_for_memory_names_the_option_of_the_rule_that_ran(tmp_path):
    log = tmp_path / "group_scoring_evaluate_score" / "7.log"
    log.parent.mkdir()
    log.write_text(
        RESOURCES + RESOURCES.replace("train", "evaluate") + "slurmstepd: error: Exceeded job memory limit\n"
    )
    (line,) = describe_kills(0, tmp_path)
    assert "add `evaluate: {mem_mb: N}` under `set-resources`" in line


def test_other_failures_and_earlier_runs_are_not_named(tmp_path):
    (tmp_path / "rule_rank").mkdir()
    (tmp_path / "rule_rank" / "1.log").write_text(RESOURCES + "RuntimeError: CUDA out of memory\n")
    old = tmp_path / "rule_rank" / "2.log"
    old.write_text("Exceeded job memory limit\n")
    os.utime(old, (1, 1))
    assert describe_kills(1000, tmp_path) == []


def test_no_folder_of_logs_is_no_kill(tmp_path):
    assert describe_kills(0, tmp_path / "none") == []
