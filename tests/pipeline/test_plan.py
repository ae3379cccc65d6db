import pytest

from overtop.errors import OvertopError
from overtop.pipeline import plan as plan_module
from overtop.pipeline.costs import CARDS, Passes, count_passes, disk_use, gpu_hours
from overtop.pipeline.dag import PlannedJob, count_submissions, plan_jobs
from overtop.pipeline.loading import load_config
from overtop.pipeline.plan import describe_plan, main
from overtop.pipeline.slurm import Node, Partition

TABLE1 = "results/tables/table1.csv"
PROFILE = {"groups": {"score": "scoring", "evaluate": "scoring"}, "default-resources": {"slurm_partition": "main"}}


def make_job(rule, inputs=(), outputs=(), is_local=False, **wildcards):
    return PlannedJob(rule, wildcards, is_local, 1, 1000, 10, 0, frozenset(inputs), frozenset(outputs))


@pytest.fixture(scope="module")
def table1(repo):
    """The plan of Table 1 from a fresh clone, and its configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo)
        patch.setattr("overtop.pipeline.costs.paths.SPLIT", "no/{dataset}/{split}")
        plan = plan_jobs([TABLE1], [], [])
        yield plan, load_config(plan.config)


def test_connected_jobs_of_a_group_are_one_submission():
    jobs = [
        make_job("rank", outputs=["r1"]),
        make_job("score", ["r1"], ["s1"]),
        make_job("score", ["r2"], ["s2"]),
        make_job("evaluate", ["s1"], ["e1"]),
        make_job("evaluate", ["s2"], ["e2"]),
        make_job("table", ["e1", "e2"], ["t"], is_local=True),
    ]
    assert count_submissions(jobs, {}) == 5
    assert count_submissions(jobs, PROFILE["groups"]) == 3
    joined = [*jobs, make_job("evaluate", ["s1", "s2"], ["e3"])]
    assert count_submissions(joined, PROFILE["groups"]) == 2


@pytest.mark.slow
def test_passes_of_table1_are_those_of_the_paper_page(table1):
    passes, unknown = count_passes(table1[0].jobs, table1[1])
    assert unknown == []
    assert sum(row.jobs for row in passes) == 38
    dropout = [row for row in passes if row.is_dropout]
    assert [(row.encoder, row.images, row.captions) for row in dropout] == [("l14-openai", 300_000, 1_500_000)]
    assert sum(row.images for row in passes) == 632_574
    assert sum(row.captions for row in passes) == 3_162_870


@pytest.mark.slow
def test_plan_of_table1_says_jobs_submissions_hours_and_disk(table1, monkeypatch):
    def refuse():
        raise OvertopError("no Slurm")

    monkeypatch.setattr(plan_module, "read_partitions", refuse)
    lines = list(describe_plan(*table1, PROFILE))
    assert "141 jobs: 21 where snakemake runs, 120 on a cluster" in lines
    assert any(line.startswith("110 submissions") for line in lines)
    assert any(line.split()[:2] == ["embed", "38"] for line in lines)
    assert any(line.startswith("A100, fp32: 2.9 h computing, 3.3 h held") for line in lines)
    assert any(line.split()[:2] == ["weights", "20.4"] for line in lines)
    assert any(line.split()[:2] == ["embeddings", "11.7"] for line in lines)
    assert lines[-1] == "limits of partitions not checked: no Slurm"


@pytest.mark.slow
def test_plan_names_requests_beyond_a_partition(table1, monkeypatch):
    small = {"main": Partition(60, None, (Node(8, 64_000, 1),))}
    monkeypatch.setattr(plan_module, "read_partitions", lambda: small)
    assert any(
        "rule adapt may request 360 minutes, partition main has 60 minutes" in line
        for line in describe_plan(*table1, PROFILE)
    )


@pytest.mark.slow
def test_a_target_that_nothing_makes_is_an_error(repo, monkeypatch):
    monkeypatch.chdir(repo)
    with pytest.raises(SystemExit, match=r"^overtop: nosuch: no rule makes it"):
        main(["nosuch"])


def test_a_folder_without_workflow_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"workflow/Snakefile does not exist"):
        main([])


def test_hours_are_operations_by_rate_and_start_of_each_job():
    passes = [Passes("a", False, "ViT-L-14-quickgelu", 2, 14_000, 0), Passes("b", False, "unknown", 1, 10**9, 0)]
    hours = gpu_hours(passes, CARDS["A100"], is_half=False)
    assert hours.computing == pytest.approx(14_000 * 162e9 / 14e12 / 3600)
    assert hours.held == pytest.approx(hours.computing + 90 / 3600)
    in_half = gpu_hours(passes, CARDS["A100"], is_half=True)
    assert in_half.computing == pytest.approx(hours.computing * 14 / 150)
    assert in_half.held == pytest.approx((15.12 + 90) / 3600)


def test_a_split_of_unknown_size_is_named_and_not_counted(repo, monkeypatch, tmp_path):
    config = load_config(
        {
            "datasets": {"shapes": {"kind": "shapes"}},
            "encoders": {"e": {"architecture": "ViT-B-32", "tag": "openai"}},
            "posteriors": {"p": {"kind": "deterministic", "encoder": "e"}},
            "tables": {"t": {"datasets": ["shapes"], "posteriors": ["p"]}},
        }
    )
    monkeypatch.chdir(tmp_path)
    names = {"dataset": "shapes", "encoder": "e", "sampling": "deterministic", "shard": "0", "shards": "1"}
    jobs = [make_job("embed", split="test", **names)]
    assert count_passes(jobs, config) == ([], ["shapes/test"])
    assert list(disk_use(jobs, [], config)) == []
