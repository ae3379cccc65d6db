"""Curves and metrics of simulated queries with known difficulty, in the columns that `evaluate` writes."""

from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import linregress, spearmanr

ACCURACY_GAINS = {"deterministic": 0.0, "mc_dropout": 0.1, "ensemble": 0.25}
"""Kinds of posteriors, and how much more difficult queries each answers correctly."""

NOISE = {
    "top1_similarity": 0.9,
    "top1_consistency": 0.5,
    "topk_consistency": 0.6,
    "adversarial_pgd": 0.4,
    "adversarial_linear": 0.45,
    "adversarial_exact": 0.38,
}
"""Estimators, and the noise that each adds to the difficulty of a query."""

METRICS = ["n_queries", "n_bins", "recall_at_1", "spearman", "r2", "neg_sr2", "rejection_auc", "oracle_auc"]


def first_methods(n=16):
    """The first `n` (posterior, estimator) pairs of a full run; consistency needs more than one sample."""
    pairs = [(k, e) for k in ACCURACY_GAINS for e in NOISE if k != "deterministic" or "consistency" not in e]
    return tuple(pairs[:n])


def simulate_run(
    datasets=("shapes",),
    directions=("t2i", "i2t"),
    methods=None,
    queries=(2000, 400),
    binning="equal_width",
    seed=0,
):
    """Calibration curves, rejection curves and metrics of a simulated run, as three new tables.

    Args:
        datasets: their names.
        directions: their names.
        methods: (posterior, estimator) pairs; None for all of `first_methods`.
        queries: their number in each direction.
        binning: `equal_width` or `equal_count`.
        seed: of the queries.
    """
    tables = _simulate(datasets, directions, methods or first_methods(), queries, binning, seed)
    return tuple(table.copy() for table in tables)


@cache
def _simulate(datasets, directions, methods, queries, binning, seed):
    calibration, rejection, metrics = [], [], []
    for dataset in datasets:
        for direction, n in zip(directions, queries, strict=False):
            rng = np.random.default_rng([seed, len(dataset), n])
            difficulty, luck = rng.normal(size=n), rng.normal(size=n)
            for posterior, estimator in methods:
                key = {
                    "dataset": dataset,
                    "direction": direction,
                    "posterior": posterior,
                    "kind": posterior,
                    "estimator": estimator,
                    "protocol": "corrected",
                    "binning": binning,
                    "positives": "labelled",
                }
                hit = difficulty + luck < 0.2 + ACCURACY_GAINS[posterior]
                uncertainty = difficulty + NOISE[estimator] * rng.normal(size=n)
                if "consistency" in estimator:
                    uncertainty = np.round(np.clip((uncertainty + 1.5) / 5, 0, 1) * 50) / 50
                bins, steps, numbers = _evaluate(uncertainty, hit, binning)
                calibration += [{**key, **row} for row in bins]
                rejection += [{**key, **row} for row in steps]
                metrics.append({**key, **numbers, "n_skipped": 0, "n_truncated": 0})
    return pd.DataFrame(calibration), pd.DataFrame(rejection).drop(columns="binning"), pd.DataFrame(metrics)


def _evaluate(uncertainty, hit, binning):
    """The bins, the rejection steps and the metrics of one method, computed by plain loops."""
    n = len(hit)
    rank = np.argsort(np.argsort(uncertainty, kind="stable"))
    spread = max(np.ptp(uncertainty), 1e-12)
    place = rank / max(n - 1, 1) if binning == "equal_count" else (uncertainty - uncertainty.min()) / spread
    level = np.minimum((place * 10).astype(int), 9)
    bins = [
        {"level": index, "n_queries": int((level == b).sum()), "recall_at_1": hit[level == b].mean()}
        for index, b in enumerate(np.unique(level))
    ]
    recalls = [b["recall_at_1"] for b in bins]
    s = r2 = float("nan")
    if len(set(recalls)) > 1:
        s = spearmanr(range(len(bins)), recalls).statistic
        r2 = linregress(range(len(bins)), recalls).rvalue ** 2
    order, best = np.argsort(-uncertainty, kind="stable"), np.sort(hit)
    cuts = np.arange(0, n, max(n // 50, 1))
    steps = [
        {
            "n_rejected": cut,
            "fraction_rejected": cut / n,
            "recall_at_1": hit[order[cut:]].mean(),
            "oracle_recall_at_1": best[cut:].mean(),
        }
        for cut in cuts
    ]
    areas = [np.mean([step[c] for step in steps]) for c in ("recall_at_1", "oracle_recall_at_1")]
    return bins, steps, dict(zip(METRICS, [n, len(bins), hit.mean(), s, r2, -s * r2, *areas], strict=True))
