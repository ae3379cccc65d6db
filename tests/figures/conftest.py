"""A seeded world of queries with known difficulty, evaluated by plain loops into the files that figures read."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, spearmanr

KINDS = {"deterministic": 0.0, "mc_dropout": 0.1, "ensemble": 0.25}
NOISE = {
    "top1_similarity": 0.9,
    "top1_consistency": 0.5,
    "topk_consistency": 0.6,
    "adversarial_pgd": 0.4,
    "adversarial_linear": 0.45,
    "adversarial_exact": 0.38,
}
MEASURES = ["n_queries", "n_bins", "recall_at_1", "spearman", "r2", "neg_sr2", "rejection_auc", "oracle_auc"]


def methods(n=16):
    """The first `n` (posterior, estimator) pairs of a full run: consistency needs more than one sample."""
    return [(k, e) for k in KINDS for e in NOISE if k != "deterministic" or "consistency" not in e][:n]


def simulate(
    datasets=("shapes",), directions=("t2i", "i2t"), pairs=None, queries=(2000, 400), binning="equal_width", seed=0
):
    """Calibration curves, rejection curves and metrics of a simulated run."""
    calibration, rejection, metrics = [], [], []
    for dataset in datasets:
        for direction, n in zip(directions, queries, strict=False):
            rng = np.random.default_rng([seed, len(dataset), n])
            difficulty, luck = rng.normal(size=n), rng.normal(size=n)
            for posterior, estimator in pairs or methods():
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
                hit = difficulty + luck < 0.2 + KINDS[posterior]
                uncertainty = difficulty + NOISE[estimator] * rng.normal(size=n)
                if "consistency" in estimator:
                    uncertainty = np.round(np.clip((uncertainty + 1.5) / 5, 0, 1) * 50) / 50
                bins, steps, numbers = measure(uncertainty, hit, binning)
                calibration += [{**key, **row} for row in bins]
                rejection += [{**key, **row} for row in steps]
                metrics.append({**key, **numbers, "n_skipped": 0, "n_truncated": 0})
    return pd.DataFrame(calibration), pd.DataFrame(rejection).drop(columns="binning"), pd.DataFrame(metrics)


def measure(uncertainty, hit, binning="equal_width"):
    n = len(hit)
    rank = np.argsort(np.argsort(uncertainty, kind="stable"))
    spread = max(np.ptp(uncertainty), 1e-12)
    place = rank / max(n - 1, 1) if binning == "equal_count" else (uncertainty - uncertainty.min()) / spread
    level = np.minimum((place * 10).astype(int), 9)
    bins = [
        {"level": nth, "n_queries": int((level == b).sum()), "recall_at_1": hit[level == b].mean()}
        for nth, b in enumerate(np.unique(level))
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
    return bins, steps, dict(zip(MEASURES, [n, len(bins), hit.mean(), s, r2, -s * r2, *areas], strict=True))


@pytest.fixture(scope="session")
def world():
    """`simulate`, for tests to call; each gets copies of its own."""
    known = {}

    def call(*args, **keywords):
        key = repr((args, keywords))
        if key not in known:
            known[key] = simulate(*args, **keywords)
        return tuple(frame.copy() for frame in known[key])

    return call


@pytest.fixture(scope="session")
def first_methods():
    """`methods`, for tests to call."""
    return methods
