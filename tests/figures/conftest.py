"""A seeded world of queries with known difficulty, evaluated by plain loops into the files that figures read."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, spearmanr

KINDS = {"deterministic": 0.0, "mc_dropout": 0.1, "ensemble": 0.25}
ESTIMATORS = {
    "top1_similarity": 0.9,
    "top1_consistency": 0.5,
    "topk_consistency": 0.6,
    "adversarial_pgd": 0.4,
    "adversarial_linear": 0.45,
    "adversarial_exact": 0.38,
}


def methods(n=16):
    """The first `n` (posterior, estimator) pairs of a full run: consistency needs more than one sample."""
    pairs = [(k, e) for k in KINDS for e in ESTIMATORS if k != "deterministic" or "consistency" not in e]
    return pairs[:n]


def simulate(datasets=("shapes",), directions=("t2i", "i2t"), pairs=None, queries=(2000, 400), binning="equal_width", seed=0):
    """Curves and metrics of a simulated run: (calibration curves, rejection curves, metrics)."""
    calibration, rejection, metrics = [], [], []
    for dataset in datasets:
        for direction, n in zip(directions, queries, strict=False):
            rng = np.random.default_rng([seed, len(dataset), n])
            difficulty = rng.normal(size=n)
            draw = rng.normal(size=n)
            for posterior, estimator in pairs or methods():
                key = {"dataset": dataset, "direction": direction, "posterior": posterior, "kind": posterior,
                       "estimator": estimator, "protocol": "corrected", "binning": binning, "positives": "labelled"}
                hit = difficulty + draw < 0.2 + KINDS[posterior]
                u = difficulty + ESTIMATORS[estimator] * rng.normal(size=n)
                if "consistency" in estimator:
                    u = np.round(np.clip((u + 1.5) / 5, 0, 1) * 50) / 50
                _one(key, u, hit, calibration, rejection, metrics)
    return pd.DataFrame(calibration), pd.DataFrame(rejection).drop(columns="binning"), pd.DataFrame(metrics)


def _one(key, u, hit, calibration, rejection, metrics):
    n = len(u)
    rank = np.argsort(np.argsort(u, kind="stable"))
    by = rank / max(n - 1, 1) if key["binning"] == "equal_count" else (u - u.min()) / max(np.ptp(u), 1e-12)
    level = np.minimum((by * 10).astype(int), 9)
    bins = []
    for b in range(10):
        own = level == b
        if own.any():
            bins.append((b, hit[own].mean()))
            calibration.append({**key, "level": b, "low": u[own].min(), "high": u[own].max(),
                                "mean_uncertainty": u[own].mean(), "n_queries": int(own.sum()), "recall_at_1": hit[own].mean()})
    s = r2 = float("nan")
    if len({r for _, r in bins}) > 1:
        s, r2 = spearmanr(*zip(*bins, strict=True))[0], linregress(*zip(*bins, strict=True)).rvalue ** 2
    order, best = np.argsort(-u, kind="stable"), np.sort(hit)
    step = max(n // 50, 1)
    removed = np.arange(0, n, step)
    rest, bound = [hit[order[r:]].mean() for r in removed], [best[r:].mean() for r in removed]
    for r, x, y in zip(removed, rest, bound, strict=True):
        rejection.append({**key, "n_rejected": r, "fraction_rejected": r / n, "recall_at_1": x, "oracle_recall_at_1": y})
    span = max(removed[-1], 1) / n
    metrics.append({**key, "n_queries": n, "n_bins": 10, "recall_at_1": hit.mean(), "spearman": s, "r2": r2, "neg_sr2": -s * r2,
                    "rejection_auc": np.trapezoid(rest, removed / n) / span, "oracle_auc": np.trapezoid(bound, removed / n) / span,
                    "n_skipped": 0, "n_truncated": 0})


@pytest.fixture(scope="session")
def world():
    """The simulation, for tests to call."""
    return simulate
