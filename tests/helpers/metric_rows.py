"""Rows as `evaluate` makes them, for tests of what reads them."""

from itertools import product

import numpy as np
import pandas as pd

from overtop.reference.recalls import RECALL_COLUMNS
from overtop.tables.rows import INTERVALS, KEY

KINDS = ("deterministic", "mc_dropout")
ESTIMATORS = ("top1_similarity", "top1_consistency", "adversarial_pgd")


def metrics(datasets=("shapes",), protocols=("corrected",), binnings=("equal_width",), seed=0, kinds=KINDS):
    """A plausible table: consistency only where there are samples."""
    rng = np.random.default_rng(seed)
    rows = []
    for keys in product(datasets, ("t2i", "i2t"), kinds, ESTIMATORS, protocols, binnings, ("labelled",)):
        dataset, direction, kind, estimator, *_ = keys
        if kind == "deterministic" and estimator == "top1_consistency":
            continue
        s, r2 = -rng.uniform(0.5, 1), rng.uniform(0.5, 1)
        rows.append(
            dict(zip(KEY, (dataset, direction, f"my-{kind}", *keys[3:]), strict=True))
            | {
                "kind": kind,
                "architecture": "tiny",
                "members": f"{kind}-0",
                "n_queries": 2000 if direction == "t2i" else 400,
                "n_bins": 10,
                "recall_at_1": 1 / 3,
            }
            | {"spearman": s, "r2": r2, "neg_sr2": -s * r2, "rejection_auc": 0.7, "oracle_auc": 0.9}
            | {"n_skipped": 0, "n_truncated": 0, "n_clusters": 400, "aurc": rng.uniform(0.1, 0.4)}
            | dict.fromkeys(("eaurc", "augrc", "auroc", "aupr", "coverage"), 0.5)
            | dict.fromkeys(("aurc_diff", "rejection_auc_diff", "p_value", "p_holm"), 0.5)
            | {"calibration_defined": True}
        )
    frame = pd.DataFrame(rows)
    frame.loc[frame["estimator"] == "top1_similarity", "p_holm"] = np.nan
    ends = {
        f"{name}_{end}": frame[name] + move
        for name in (*INTERVALS, "aurc_diff", "rejection_auc_diff")
        for end, move in (("low", -0.1), ("high", 0.1))
    }
    return frame.assign(**ends)


def recalls(differences, benchmark="coco"):
    """Recall of encoders, by (data set, encoder) how many points one of its numbers is off; None: not published."""
    rows = []
    for (dataset, encoder), points in differences.items():
        for direction, k in product(("t2i", "i2t"), (1, 5, 10)):
            difference = np.nan if points is None else points if (direction, k) == ("t2i", 5) else 0.01
            verdict = "no reference" if points is None else "off" if abs(difference) > 0.5 else "ok"
            row = (dataset, "test", encoder, "tiny", "tag", benchmark, direction, k, 0.5, 100, 0.5, difference, verdict)
            rows.append(dict(zip(RECALL_COLUMNS, row, strict=True)))
    return pd.DataFrame(rows)
