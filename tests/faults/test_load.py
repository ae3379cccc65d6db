"""Load: a million captions, a graph of 3,000 jobs, a folder of 100,000 files; memory stays within stated bounds.

Ranking a million captions over 200,000 images takes 50 minutes on two cores, and its memory does not depend on the
number of chunks of images. Hence every stage before the ranking has all items, one of the seven slices is ranked, and
the stages after the ranking have all captions over fewer images.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import helpers.peak_memory
from helpers.pipeline import ENVIRONMENT
from overtop.pipeline import checkout
from overtop.pipeline.dag import plan_jobs

pytestmark = pytest.mark.faults

CAPTIONS, IMAGES, FEW_IMAGES, DIM = 1_000_000, 200_000, 500, 64
SLICES = 7

OUTPUTS = {
    "fetch": "data/sources/{}/test.json",
    "split": "data/splits/{}/test.parquet",
    "import_embeddings": "results/embeddings/{}/test/imported/samples/text-0of1.h5",
    "rank_slice": f"results/rankings/{{}}/test/imported/slice-0of{SLICES}.h5",
    "rank": "results/rankings/{}/test/imported.h5",
    "radius": "results/radii/{}/test/imported.h5",
    "score": "results/scores/{}/test/imported.parquet",
    "evaluate": "results/metrics/{}/test/imported.parquet",
}
"""What each stage writes for a data set."""

BOUNDS = {
    "fetch": 800,
    "split": 900,
    "import_embeddings": 1200,
    "rank_slice": 1700,
    "rank": 2900,
    "radius": 3400,
    "score": 2400,
    "evaluate": 3600,
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


def run_measured(command, project) -> tuple[str, float]:
    """Run a command in a project; return what it prints, and the peak memory of its largest process in MB."""
    run = subprocess.run(
        [sys.executable, helpers.peak_memory.__file__, *command],
        cwd=project.root,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stderr, float(run.stdout)


def run_stages(project, dataset, arguments, load, stages, record_fault, record_property):
    """Run one stage after the other, and compare the memory of each with its bound."""
    for stage in stages:
        _, peak = run_measured([*project.snakemake, OUTPUTS[stage].format(dataset), *arguments], project)
        record_property(f"{load}, {stage}, peak MB", round(peak))
        record_fault(f"load, {load}: {stage} within {BOUNDS[stage]} MB", tries=1, named=int(peak <= BOUNDS[stage]))


def test_a_million_captions_and_200_000_images_are_imported_and_ranked(fresh, tmp_path, record_fault, record_property):
    write_embeddings(tmp_path / "wide.npz", IMAGES, CAPTIONS)
    datasets = {"wide": {"kind": "embeddings", "splits": {"test": str(tmp_path / "wide.npz")}}}
    arguments = configure(fresh, datasets=datasets, ranking={"slices": {"wide": SLICES}, "top": 10})
    stages = "fetch", "split", "import_embeddings", "rank_slice"
    load = f"{CAPTIONS:,} x {IMAGES:,}"
    run_stages(fresh, "wide", [*arguments, "--notemp"], load, stages, record_fault, record_property)


def test_a_million_captions_are_scored_and_evaluated(fresh, tmp_path, record_fault, record_property):
    write_embeddings(tmp_path / "long.npz", FEW_IMAGES, CAPTIONS)
    datasets = {"long": {"kind": "embeddings", "splits": {"test": str(tmp_path / "long.npz")}}}
    arguments = configure(fresh, datasets=datasets, evaluation={"bootstrap": {"resamples": 200}})
    fresh.run(OUTPUTS["import_embeddings"].format("long"), *arguments)
    stages = "rank", "radius", "score", "evaluate"
    run_stages(fresh, "long", arguments, f"{CAPTIONS:,} queries", stages, record_fault, record_property)
    metrics = pd.read_parquet(fresh.root / OUTPUTS["evaluate"].format("long"))
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
    output, peak = run_measured([*fresh.snakemake, target, *arguments], fresh)
    assert "Nothing to be done" in output
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
    stages = "fetch", "split"
    run_stages(fresh, "files", arguments, f"{FILES:,} files", stages, record_fault, record_property)
    assert len(pd.read_parquet(fresh.root / OUTPUTS["split"].format("files"))) == FILES


def test_peak_of_memory_is_that_of_the_largest_process_of_a_command(fresh):
    start_another = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(len(bytes([1]) * 10**8))'])"
    output, peak = run_measured([sys.executable, "-c", start_another], fresh)
    assert output == "100000000\n"
    assert 95 < peak < 130
