"""Time of the bootstrap intervals of ten estimators."""

import os
from functools import partial

import numpy as np
import pandas as pd

from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, check_target
from bench.timing import time_interleaved
from overtop.config.evaluation import BootstrapSpec, EvaluationSpec
from overtop.estimators.scoring import COLUMNS
from overtop.evaluation.metrics import evaluate
from overtop.terms import ESTIMATORS

MAX_SECONDS = 30
CAPTIONS_PER_IMAGE = 5
RECALL_AT_1 = 0.6
CONSISTENCY_LEVELS = 10
"""Distinct values of every third estimator, as the consistency of ten samples has; the others are continuous."""


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time the evaluation of one direction under one protocol, including its resamples."""
    names = list(ESTIMATORS)[:10]
    spec = EvaluationSpec(bootstrap=BootstrapSpec(resamples=sizes.resamples, reference=names[0]))
    threads = os.cpu_count() or 1
    call = partial(evaluate, _make_scores(names, sizes.evaluated_queries), spec, seed=0, threads=threads)
    times = time_interleaved({"evaluate": call}, 1)
    what = f"{sizes.resamples} resamples x {sizes.evaluated_queries} queries x {len(names)} estimators"
    return PartResult(
        {"bootstrap": times.reset_index().assign(what=what, threads=threads)},
        [check_target(f"bootstrap, {what}, {threads} threads", times["min_s"].item(), "at most", MAX_SECONDS, " s")],
    )


def _make_scores(names: list[str], queries: int) -> pd.DataFrame:
    """Return a table of scores in which uncertain captions are more often misses."""
    rng = np.random.default_rng(0)
    difficulty = rng.random(queries)
    hit = rng.random(queries) < np.clip(RECALL_AT_1 + 0.5 - difficulty, 0, 1)
    frames = []
    for number, name in enumerate(names):
        uncertainty = difficulty + 0.1 * (number + 1) * rng.random(queries)
        if number % 3 == 1:
            uncertainty = np.round(uncertainty * CONSISTENCY_LEVELS) / CONSISTENCY_LEVELS
        columns = {
            "query_id": [f"caption-{q}" for q in range(queries)],
            "image_id": [f"image-{q // CAPTIONS_PER_IMAGE}" for q in range(queries)],
            "direction": "t2i",
            "estimator": name,
            "protocol": "corrected",
            "uncertainty": uncertainty,
            "top1_id": "image-0",
            "hit": hit,
            "hit_extended": pd.NA,
            "rank": np.where(hit, 1.0, 2.0),
            "rank_extended": np.nan,
            "tied": False,
            "absent": False,
            "reranked_rank": np.nan,
            "reranked_rank_extended": np.nan,
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)[COLUMNS]
