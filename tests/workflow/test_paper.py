"""The whole paper: the list of jobs from a fresh clone, and a small edition of it against a fake server."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from helpers.fake_server import FakeServer, Fault
from helpers.paper_sources import write_sources
from helpers.pipeline import ENVIRONMENT, Project, copy_project

pytestmark = pytest.mark.slow

TABLE1 = "results/tables/table1.csv"
DATASETS = ("mscoco", "flickr30k")
MEMBERS, MISMATCHED = 12, 4


def _shards(project, *targets):
    """Number of jobs that would write shards in a dry run, by (dataset, split, encoder, sampling)."""
    output = project.run(*targets, "--dry-run", "--verbose")
    text = output.stdout + output.stderr
    folders = re.findall(
        r"^    output: results/embeddings/(\S+)/image-\S+\.h5, results/embeddings/\1/text-\S+\.h5$", text, re.M
    )
    return Counter(tuple(path.split("/")) for path in folders)


def test_table1_has_expected_jobs(fresh):
    encoders = MEMBERS + MISMATCHED
    adapters = 2  # trained on COCO's train and val splits
    posteriors = 5 * len(DATASETS)
    assert fresh.planned_jobs(TABLE1) == {
        "fetch": 4,  # three splits of COCO, one of Flickr30k
        "split": 4,
        "weights": encoders,
        "embed": (encoders + 1) * len(DATASETS) + adapters * 2,  # each loads its encoder once
        "adapt": adapters,
        "spread": 2 * len(DATASETS),
        "rank": posteriors,
        "radius": posteriors,
        "score": posteriors,
        "evaluate": posteriors,
        "recall": encoders * len(DATASETS),
        "table": 1,
    }


def test_every_encoder_and_pass_is_embedded_once(fresh):
    """Both tables and all four figures: posteriors share the shards of their encoders, and of their passes."""
    targets = [TABLE1, "results/tables/table2.csv", *(f"results/figures/figure{n}.pdf" for n in (1, 2, 3, 4))]
    shards = _shards(fresh, *targets)
    assert sum(shards.values()) == fresh.planned_jobs(*targets)["embed"]
    assert set(shards.values()) == {1}
    tested = {key[2:] for key in shards if key[1] == "test"}
    rates = {("l14-openai", f"dropout-{rate}x50") for rate in (0.05, 0.1, 0.2, 0.3, 0.5)}
    assert {key for key in tested if key[1] != "deterministic"} == {
        *rates,
        ("l14-openai", "dropout-0.2x50+50"),  # passes 51 to 100
        ("b32-openai", "dropout-0.2x50"),
    }
    assert len(tested) == MEMBERS + MISMATCHED + 2 + 5 + 2


def test_fewer_passes_need_no_further_shards(fresh):
    """Figure 3 without its posterior of 100 passes needs only the shards of its rates."""
    passes = "figures={figure3: {passes: [l14-passes-5, l14-passes-10, l14-passes-20, l14-dropout]}}"
    shards = _shards(fresh, "results/figures/figure3.pdf", "--config", passes)
    rates = (0.05, 0.1, 0.2, 0.3, 0.5)
    assert set(shards) == {("flickr30k", "test", "l14-openai", f"dropout-{rate}x50") for rate in rates}


def test_prefetch_covers_all_downloads_of_the_table(fresh):
    """The prefetch of Table 1 runs exactly the download jobs of Table 1."""
    network = {"fetch", "weights"}
    whole = {rule: n for rule, n in fresh.planned_jobs(TABLE1).items() if rule in network}
    assert fresh.planned_jobs("data/prefetch/table1.json") == {**whole, "prefetch": 1}


@dataclass(frozen=True)
class Paper:
    """A checkout configured to download from a fake server."""

    project: Project
    server: FakeServer
    environment: dict[str, str]

    def run(self, *targets, check=True, **variables):
        """Build targets of the small edition; `variables` are of the environment."""
        files = ("--configfile", "tests/workflow/reduced.yaml", "sources.json")
        environment = {**ENVIRONMENT, **self.environment, **variables}
        return self.project.run(*targets, *files, check=check, environment=environment)


@pytest.fixture(scope="module")
def sources(tiny, tmp_path_factory) -> Path:
    """The small edition of all sources; ensemble members are the encoders of the tiny run."""
    root = tmp_path_factory.mktemp("sources")
    write_sources(root, [tiny.root / f"data/encoders/tiny-{number}.safetensors" for number in (0, 1)])
    return root


@pytest.fixture
def paper(repo, sources, tmp_path):
    with FakeServer(sources) as server:
        project = copy_project(repo, tmp_path / "paper")
        addresses = {
            name: {"addresses": [f"{server.url}/files/{file}"], "bytes": None, "sha256": None, "md5": None}
            for name, file in (
                ("karpathy-splits", "caption_datasets.zip"),
                ("coco-val2014", "val2014.zip"),
                ("coco-train2014", "train2014.zip"),
                ("flickr30k-images", "flickr30k-images.zip"),
            )
        }
        (project.root / "sources.json").write_text(json.dumps({"sources": addresses}))
        environment = {key: value for key, value in server.environment(tmp_path / "home").items() if "HF_" in key}
        yield Paper(project, server, environment | {"NO_PROXY": "127.0.0.1"})


def test_table1_is_built_over_an_unreliable_network(paper):
    """Table 1 through the real clients, with cut connections, 429 and 503."""
    paper.server.faults = {
        "test/0.tar": Fault("cut", times=2, after=10_000),
        "caption_datasets.zip": Fault("cut", times=1, after=100),
        "val2014.zip": Fault("status", times=1, status=429, headers={"Retry-After": "1"}),
        "open_clip_model.safetensors": Fault("cut", times=1, after=100_000),
        "nshards.txt": Fault("status", times=1, status=503),
    }
    small = "results/recall/flickr30k/test/b32-openai.csv"
    paper.run("data/prefetch/table1.json", "data/weights/b32-openai.json")
    assert all(fault.times == 0 for fault in paper.server.faults.values())
    fetched = len(paper.server.requests)
    paper.run(TABLE1, small, "results/figures/figure1.pdf", "results/differences/table1.csv", HF_HUB_OFFLINE="1")
    assert len(paper.server.requests) == fetched  # compute nodes need no network

    root = paper.project.root
    table = pd.read_csv(root / TABLE1)
    posteriors = {"corrected": {"l14", "l14-dropout"}, "published": {"l14-dropout", "l14-ensemble-published"}}
    for protocol, expected in posteriors.items():
        assert set(table[table["protocol"] == protocol]["posterior"]) == expected
    counts = table.groupby(["dataset", "direction"])["n_queries"].unique().map(list)
    assert counts["mscoco", "t2i"] == [80]
    assert counts["mscoco", "i2t"] == [16]
    assert counts["flickr30k", "t2i"] == [60]
    assert counts["flickr30k", "i2t"] == [12]
    with_paper = table[table["paper_neg_sr2"].notna()]
    assert set(with_paper["binning"]) == {"equal_width"}
    assert set(with_paper["positives"]) == {"labelled"}
    # The small members are not ViT-L/14, so only the paper's row without an architecture can be compared.
    assert set(with_paper["estimator"]) == {"probvlm"}
    neg_sr2 = with_paper.set_index(["dataset", "direction", "posterior"])["paper_neg_sr2"]
    assert neg_sr2["flickr30k", "i2t", "l14"] == 0.49
    # The one ViT-L/14 and the ViT-B/32 have random weights, and the table must report that.
    assert set(pd.read_csv(root / small)["verdict"]) == {"off"}
    assert table["members_off"].str.contains("l14-laion2b").any()
    assert (root / "results/members/table1.csv").exists()
    lock = pd.read_csv(root / "data/lock.csv")
    assert lock["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert "ViT-L-14--laion2b_s32b_b82k" in set(lock["name"])


def test_missing_source_is_replaced_by_an_equal_alternative(paper):
    """COCO's test split from the hub's shards, and, where those are gone, from the original archives."""
    split, source = "data/splits/mscoco/test.parquet", "data/sources/mscoco/test.json"
    paper.run(split)
    shards = (paper.project.root / split).read_bytes(), (paper.project.root / source).read_bytes()
    assert not paper.server.requests_for("val2014.zip")
    paper.server.faults = {"nshards.txt": Fault("status", status=404, headers={"X-Error-Code": "EntryNotFound"})}
    for path in (split, source, "data/downloads/coco-shards/test/nshards.txt"):
        (paper.project.root / path).unlink()
    paper.run(split)
    assert paper.server.requests_for("val2014.zip")
    archives = (paper.project.root / split).read_bytes(), (paper.project.root / source).read_bytes()
    assert archives == shards


@pytest.mark.parametrize(
    ("end", "fault", "target", "message"),
    [
        ("0.tar", Fault("wrong_bytes"), "data/splits/flickr30k/test.parquet", "sha256"),
        ("caption_datasets.zip", Fault("status", status=404), "data/splits/mscoco/val.parquet", "HTTP status 404"),
        (
            "open_clip_model.safetensors",
            Fault("wrong_bytes"),
            "data/weights/l14-openai.json",
            "sha256",
        ),
    ],
)
def test_failed_download_is_one_error_and_leaves_no_file(paper, end, fault, target, message):
    """All routes of the data set fail, so that no alternative remains."""
    paper.server.faults = {end: fault, "flickr30k-images.zip": Fault("status", status=403)}
    run = paper.run(target, check=False)
    assert run.returncode != 0
    assert message in run.stdout + run.stderr
    root = paper.project.root
    assert not (root / target).exists()
    assert not list(root.glob("data/sources/*/*"))
    assert not list(root.glob("data/downloads/**/*.safetensors"))


def test_file_that_changed_at_its_address_is_rejected(paper):
    """The lock table has its digest from the first use."""
    paper.run("data/weights/l14-openai.json")
    root = paper.project.root
    (root / "data/weights/l14-openai.json").unlink()
    for path in (root / "data/downloads").rglob("*.safetensors"):
        path.unlink()
    member = paper.server.root / "hub/models/example/small-0/open_clip_model.safetensors"
    before = member.read_bytes()
    try:
        member.write_bytes(before[:-4] + b"\0\0\0\1")
        run = paper.run("data/weights/l14-openai.json", check=False)
    finally:
        member.write_bytes(before)
    assert "lock.csv" in run.stdout + run.stderr
    assert not (root / "data/weights/l14-openai.json").exists()
