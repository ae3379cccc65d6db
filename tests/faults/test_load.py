"""Load: a million captions, a graph of 3,000 jobs, a folder of 100,000 files; memory stays within stated bounds.

Ranking a million captions over 200,000 images takes hours on two cores, and its memory does not depend on the number of
chunks of images. Hence every stage before the ranking has all items, one of the seven slices is ranked, and the stages
after the ranking have all captions over fewer images.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import ENVIRONMENT
from overtop.pipeline import checkout
from overtop.pipeline.dag import plan_jobs

pytestmark = pytest.mark.faults

CAPTIONS, IMAGES, FEW_IMAGES, DIM = 1_000_000, 200_000, 500, 64
SLICES = 7

BOUNDS = {
    "fetch": 300,
    "split": 700,
    "import_embeddings": 1000,
    "rank_slice": 1500,
    "rank": 2800,
    "radius": 3100,
    "score": 2500,
    "evaluate": 5400,
}
"""Bound on the peak of resident memory of each stage, in MB: about 1.3 times what was measured."""

DATASETS = 430
"""Data sets of seven jobs each."""

GRAPH_BOUND = 700
"""Bound on the peak of resident memory of Snakemake with 3,000 jobs, in MB."""

FILES = 100_000


def write_embeddings(path: Path, images: int, captions: int) -> None:
    """Embeddings in half precision; captions lie near their images."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((images, DIM), dtype=np.float32)
    owners = np.arange(captions) * images // captions
    text = rng.standard_normal((captions, DIM), dtype=np.float32)
    text += image[owners]
    np.savez(path, image=image.astype(np.float16), text=text.astype(np.float16), image_of_caption=owners)


def configure(project, **sections):
    """Write the configuration and return the arguments that name it."""
    (project.root / "load.json").write_text(json.dumps({"bank": None, **sections}))
    return "--configfile", "load.json"


def peak_mb(root: Path, rule: str) -> float:
    """The peak of resident memory of the jobs of a rule, as Snakemake measured it."""
    tables = [pd.read_csv(path, sep="\t") for path in root.glob(f"benchmarks/{rule}/**/*.tsv")]
    return float(pd.concat(tables)["max_rss"].max())


def peak_mb_of_run(project, *arguments) -> float:
    """The peak of resident memory of a Snakemake that has nothing to do."""
    with (project.root / "run.log").open("w") as log:
        process = subprocess.Popen(
            [*project.snakemake, *arguments], cwd=project.root, env=ENVIRONMENT, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
    output = (project.root / "run.log").read_text()
    assert status == 0, output
    assert "Nothing to be done" in output
    return usage.ru_maxrss / 1024


def check_stages(project, record_fault, record_property, load, stages):
    for stage in stages:
        peak = peak_mb(project.root, stage)
        record_property(f"{load}, {stage}, peak MB", round(peak))
        record_fault(f"load, {load}: {stage} within {BOUNDS[stage]} MB", tries=1, named=int(peak <= BOUNDS[stage]))


def test_a_million_captions_and_200_000_images_are_imported_and_ranked(fresh, tmp_path, record_fault, record_property):
    write_embeddings(tmp_path / "wide.npz", IMAGES, CAPTIONS)
    datasets = {"wide": {"kind": "embeddings", "splits": {"test": str(tmp_path / "wide.npz")}}}
    arguments = configure(fresh, datasets=datasets, ranking={"slices": {"wide": SLICES}, "top": 10})
    fresh.run(f"results/rankings/wide/test/imported/slice-0of{SLICES}.h5", *arguments, "--notemp")
    stages = "fetch", "split", "import_embeddings", "rank_slice"
    check_stages(fresh, record_fault, record_property, f"{CAPTIONS:,} x {IMAGES:,}", stages)


def test_a_million_captions_are_scored_and_evaluated(fresh, tmp_path, record_fault, record_property):
    write_embeddings(tmp_path / "long.npz", FEW_IMAGES, CAPTIONS)
    datasets = {"long": {"kind": "embeddings", "splits": {"test": str(tmp_path / "long.npz")}}}
    arguments = configure(fresh, datasets=datasets, evaluation={"bootstrap": {"resamples": 200}})
    fresh.run("results/metrics/long/test/imported.parquet", *arguments)
    stages = "rank", "radius", "score", "evaluate"
    check_stages(fresh, record_fault, record_property, f"{CAPTIONS:,} queries", stages)
    metrics = pd.read_parquet(fresh.root / "results/metrics/long/test/imported.parquet")
    assert set(metrics["direction"]) == {"t2i", "i2t"}


def test_a_graph_of_3000_jobs_is_planned_and_found_complete(fresh, monkeypatch, record_fault, record_property):
    datasets = {f"d{n}": {"kind": "embeddings", "splits": {"test": str(fresh.root / "x.npz")}} for n in range(DATASETS)}
    table = {"datasets": list(datasets), "posteriors": ["imported"]}
    (fresh.root / "x.npz").touch()
    arguments = configure(fresh, datasets=datasets, tables={"many": table})
    target = "results/tables/many.csv"
    monkeypatch.chdir(fresh.root)
    monkeypatch.setattr(checkout, "LIBRARY", fresh.root / "scripts" / "overtop")
    jobs = plan_jobs([target], [Path("load.json")], []).jobs
    assert len(jobs) >= 3000
    assert sum(fresh.planned_jobs(target, *arguments).values()) == len(jobs)
    for number, path in enumerate(path for job in jobs for path in sorted(job.outputs)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(str(number))
    touched = fresh.run(target, *arguments, "--touch", check=False)  # the files are no tables
    assert touched.returncode == 0, touched.stderr
    peak = peak_mb_of_run(fresh, target, *arguments)
    record_property("graph of 3,000 jobs, peak MB", round(peak))
    record_fault(
        f"load, {len(jobs):,} jobs: Snakemake within {GRAPH_BOUND} MB", tries=2, named=2 * (peak <= GRAPH_BOUND)
    )


def test_a_folder_of_100_000_files_is_fetched_and_split(fresh, tmp_path, record_fault, record_property):
    folder = tmp_path / "folder"
    for start in range(0, FILES, 1000):
        (folder / f"{start}").mkdir(parents=True)
        for number in range(start, start + 1000):
            (folder / f"{start}/{number}.jpg").write_bytes(b"%d" % number)
    names = [f"{number // 1000 * 1000}/{number}.jpg" for number in range(FILES)]
    pd.DataFrame({"image": names, "caption": names}).to_csv(folder / "captions.csv", index=False)
    arguments = configure(fresh, datasets={"files": {"kind": "table", "source": str(folder)}})
    fresh.run("data/splits/files/test.parquet", *arguments)
    assert len(pd.read_parquet(fresh.root / "data/splits/files/test.parquet")) == FILES
    check_stages(fresh, record_fault, record_property, f"{FILES:,} files", ("fetch", "split"))


def test_memory_of_a_stage_is_read_from_its_benchmarks(tmp_path):
    (tmp_path / "benchmarks/rank/a").mkdir(parents=True)
    for name, peak in (("x", 10.5), ("y", 30.0)):
        (tmp_path / f"benchmarks/rank/a/{name}.tsv").write_text(f"s\tmax_rss\n1\t{peak}\n")
    assert peak_mb(tmp_path, "rank") == 30.0
