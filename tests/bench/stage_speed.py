"""Time and memory of the stages from embeddings to a table, at a size of Table 1: twelve members on COCO's 5K split."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from bench.processes import PROCESS_STATUS, resident_memory_mb, run_in_fresh_process
from bench.ranking_pass import CPU, TEMPERATURES, caption_images, rank_embeddings
from bench.sizes import BenchmarkSizes
from bench.synthetic_embeddings import make_embeddings
from bench.targets import PartResult, check_target
from overtop.config.evaluation import BootstrapSpec, EvaluationSpec
from overtop.config.model import Config
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_direction
from overtop.evaluation.metrics import evaluate
from overtop.radius.compute import compute_radii
from overtop.storage.split import Split
from overtop.tables.rows import combine_metrics
from overtop.terms import DIRECTIONS

MAX_RADIUS_OVER_RANKING = 1.0
MAX_SECONDS = 120
THREADS = 2
"""Of the bootstrap: those of the rule `evaluate`."""


def run(sizes: BenchmarkSizes) -> PartResult:
    """Run every stage once, in a fresh process, in both directions and under both protocols."""
    captions, images = sizes.stage_shape
    arguments = captions, images, sizes.stage_samples, sizes.dim, sizes.resamples
    table = pd.DataFrame(run_in_fresh_process("bench.stage_speed", *arguments)["stages"])
    seconds = table.set_index("stage")
    ratio = seconds.loc["radius", "cpu_s"] / seconds.loc["rank", "cpu_s"]
    shape = f"{captions} x {images} x {sizes.stage_samples} samples"
    checks = [
        check_target(f"radius, {shape}, CPU time over the ranking's", ratio, "at most", MAX_RADIUS_OVER_RANKING),
        check_target(f"embeddings to table, {shape}", table["wall_s"].sum(), "at most", MAX_SECONDS, " s"),
    ]
    return PartResult({"stages": table.assign(shape=shape)}, checks)


def main(captions: int, images: int, samples: int, dim: int, resamples: int) -> None:
    """Run the stages, and print their seconds and the peak memory after each as JSON."""
    sources = make_embeddings(captions, images, samples, dim)
    split = _make_split(captions, images)
    stages: list[dict[str, object]] = []
    with _measure("rank", stages):
        rankings = rank_embeddings(*sources)
    with _measure("radius", stages):
        radii = compute_radii(*sources, rankings, device=CPU)
    with _measure("score", stages):
        inputs = {d: EstimatorInputs(rankings[d], radii[d], temperatures=TEMPERATURES) for d in DIRECTIONS}
        names = Config.model_fields["estimators"].default
        scores = pd.concat([score_direction(split, d, inputs[d], names) for d in DIRECTIONS])
    with _measure("evaluate", stages):
        spec = EvaluationSpec(bootstrap=BootstrapSpec(resamples=resamples))
        metrics = evaluate(scores, spec, seed=0, threads=THREADS).metrics
    with _measure("table", stages):
        facts = {"dataset": "synthetic", "posterior": "ensemble", "kind": "ensemble", "architecture": "synthetic"}
        details = {"members": "synthetic", "n_skipped": 0, "n_truncated": 0, "bank": "", "bank_fingerprint": ""}
        combine_metrics([metrics.assign(**facts, **details)])
    print(json.dumps({"stages": stages}))


def _make_split(captions: int, images: int) -> Split:
    """Return the split of the synthetic embeddings."""
    return Split(
        image_ids=[str(i) for i in range(images)],
        image_paths=[""] * images,
        caption_ids=[str(i) for i in range(captions)],
        captions=["synthetic"] * captions,
        image_of_caption=caption_images(captions, images).astype(np.int64),
    )


@contextmanager
def _measure(stage: str, stages: list[dict[str, object]]) -> Iterator[None]:
    """Append the seconds of a stage, and the peak resident memory after it, in MB (NaN where Linux is missing)."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    peak = resident_memory_mb("VmHWM") if PROCESS_STATUS.is_file() else float("nan")
    stages.append({"stage": stage, **seconds, "peak_mb": peak})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
