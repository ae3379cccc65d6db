"""Synthetic tables of metrics and recalls, in the columns that `evaluate` and `recall` write."""

from itertools import product

import numpy as np
import pandas as pd

from overtop.evaluation.recall import RECALL_COLUMNS
from overtop.tables.rows import INTERVALS, KEY

KINDS = ("deterministic", "mc_dropout")
ESTIMATORS = ("top1_similarity", "top1_consistency", "adversarial_pgd")


def make_metrics(datasets=("shapes",), protocols=("corrected",), binnings=("equal_width",), seed=0, kinds=KINDS):
    """Return one row per combination of the arguments, direction and estimator, with random metrics.

    As in real tables, deterministic posteriors have no row of `top1_consistency`.
    """
    rng = np.random.default_rng(seed)
    rows = [
        _metric_row(keys, rng)
        for keys in product(datasets, ("t2i", "i2t"), kinds, ESTIMATORS, protocols, binnings, ("labelled",))
        if keys[2:4] != ("deterministic", "top1_consistency")
    ]
    frame = pd.DataFrame(rows)
    frame.loc[frame["estimator"] == "top1_similarity", "p_holm"] = np.nan
    interval_columns = {
        f"{name}_{end}": frame[name] + offset
        for name in (*INTERVALS, "aurc_diff", "rejection_auc_diff")
        for end, offset in (("low", -0.1), ("high", 0.1))
    }
    return frame.assign(**interval_columns)


def _metric_row(keys, rng):
    dataset, direction, kind, *others = keys
    spearman, r2 = -rng.uniform(0.5, 1), rng.uniform(0.5, 1)
    return (
        dict(zip(KEY, (dataset, direction, f"my-{kind}", *others), strict=True))
        | {"kind": kind, "architecture": "tiny", "members": f"{kind}-0"}
        | {"n_queries": 2000 if direction == "t2i" else 400, "n_absent": 0, "absent": 0.0}
        | {"n_bins": 10, "recall_at_1": 1 / 3, "recall_at_5": 0.5, "recall_at_10": 0.6}
        | {"spearman": spearman, "r2": r2, "neg_sr2": -spearman * r2, "rejection_auc": 0.7, "oracle_auc": 0.9}
        | {"n_skipped": 0, "n_truncated": 0, "n_tied": 0, "n_clusters": 400, "aurc": rng.uniform(0.1, 0.4)}
        | dict.fromkeys(("eaurc", "augrc", "auroc", "aupr", "coverage", "tau_b", "smare"), 0.5)
        | dict.fromkeys(("aurc_diff", "rejection_auc_diff", "p_value", "p_holm"), 0.5)
        | {"calibration_defined": True}
    )


def make_recalls(differences, benchmark="coco"):
    """Return the recall table of encoders whose t2i recall@5 differs from the published one by a given amount.

    Args:
        differences: (data set, encoder) to the difference in points; None means that no recall is published.
        benchmark: name of the published benchmark, or None.
    """
    rows = []
    for (dataset, encoder), points in differences.items():
        for direction, k in product(("t2i", "i2t"), (1, 5, 10)):
            difference = np.nan if points is None else points if (direction, k) == ("t2i", 5) else 0.01
            verdict = "no reference" if points is None else "off" if abs(difference) > 0.5 else "ok"
            row = (dataset, "test", encoder, "tiny", "tag", benchmark, direction, k, 0.5, 100, 0.5, difference, verdict)
            rows.append(dict(zip(RECALL_COLUMNS, row, strict=True)))
    return pd.DataFrame(rows)
