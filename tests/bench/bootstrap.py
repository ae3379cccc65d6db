"""How long do the intervals of ten estimators take?"""

import os
from functools import partial

import numpy as np
import pandas as pd

from bench.bars import Outcome, bar
from bench.size import Size
from bench.timing import interleaved
from overtop.config.evaluation import BootstrapSpec, EvaluationSpec
from overtop.estimators.registry import ESTIMATORS
from overtop.estimators.scoring import COLUMNS
from overtop.evaluation.metrics import evaluate

LIMIT_S = 30
CAPTIONS_EACH = 5
RECALL = 0.6
LEVELS = 10
"""Values of every third uncertainty, as the consistency of ten samples has; the others are continuous."""


def run(size: Size) -> Outcome:
    """Time the evaluation of one direction under one protocol, resamples included."""
    names = list(ESTIMATORS)[:10]
    spec = EvaluationSpec(bootstrap=BootstrapSpec(resamples=size.resamples, reference=names[0]))
    threads = os.cpu_count() or 1
    call = partial(evaluate, _scores(names, size.evaluated), spec, seed=0, threads=threads)
    times = interleaved({"evaluate": call}, 1)
    what = f"{size.resamples} resamples x {size.evaluated} queries x {len(names)} estimators"
    name = f"bootstrap, {what}, {threads} threads"
    return Outcome(
        {"bootstrap": times.reset_index().assign(what=what, threads=threads)},
        [bar(name, times["min_s"].item(), "at most", LIMIT_S, " s")],
    )


def _scores(names: list[str], queries: int) -> pd.DataFrame:
    """What the `score` rule would write of captions whose misses are the more frequent the more uncertain they are."""
    rng = np.random.default_rng(0)
    doubt = rng.random(queries)
    hit = rng.random(queries) < np.clip(RECALL + 0.5 - doubt, 0, 1)
    rank = np.where(hit, 1.0, 2.0)
    frames = []
    for number, name in enumerate(names):
        uncertainty = doubt + 0.1 * (number + 1) * rng.random(queries)
        if number % 3 == 1:
            uncertainty = np.round(uncertainty * LEVELS) / LEVELS
        frames.append(
            pd.DataFrame(
                {
                    "query_id": [f"caption-{q}" for q in range(queries)],
                    "image_id": [f"image-{q // CAPTIONS_EACH}" for q in range(queries)],
                    "direction": "t2i",
                    "estimator": name,
                    "protocol": "corrected",
                    "uncertainty": uncertainty,
                    "top1_id": "image-0",
                    "hit": hit,
                    "hit_extended": pd.NA,
                    "rank": rank,
                    "rank_extended": np.nan,
                    "tied": False,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)[COLUMNS]
