"""Recall of the items that are best by the normalised similarities of a bank estimator, beside the recall without."""

import numpy as np
import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.recall import RECALL_KS
from overtop.evaluation.significance import symmetric_interval
from overtop.seeds import derive_seed

RERANKED_COLUMNS = {"labelled": "reranked_rank", "extended": "reranked_rank_extended"}
"""Column of the score table with the rank of the best positive after re-ranking, by set of positives."""

KEY = ["direction", "estimator", "protocol", "positives"]
"""Columns that identify a row of `measure_reranking`."""

COLUMNS = [
    "reranked_recall_at_1", "reranked_recall_at_1_low", "reranked_recall_at_1_high", "reranked_recall_at_5",
    "reranked_recall_at_10",
]  # fmt: skip
"""Measures of `measure_reranking`."""


def measure_reranking(scores: pd.DataFrame, spec: BootstrapSpec, seed: int) -> pd.DataFrame:
    """Measure the recall after re-ranking by each estimator that has one, with the intervals of R@1.

    Args:
        scores: score table of one posterior on one split (`estimators.scoring`); without the columns of
            `RERANKED_COLUMNS`, nothing is measured.
        spec: of the bootstrap.
        seed: of the resamples, as for `evaluate`: the interval is from the same resamples as that of `recall_at_1`.

    Returns:
        One row per direction, estimator, protocol and set of positives with re-ranked items: `KEY` and `COLUMNS`.
    """
    rows = []
    for (direction, estimator, protocol), queries in scores.groupby(KEY[:3], sort=False):
        for positives, column in RERANKED_COLUMNS.items():
            if column in queries and queries[column].notna().all():
                key = dict(zip(KEY, (direction, estimator, protocol, positives), strict=True))
                rows.append(key | _measure_recall(queries, column, spec, derive_seed(seed, direction)))
    return pd.DataFrame(rows, columns=[*KEY, *COLUMNS])


def _measure_recall(queries: pd.DataFrame, column: str, spec: BootstrapSpec, seed: int) -> dict[str, float]:
    """Recalls at `RECALL_KS`, with the interval of the first."""
    cluster, images = pd.factorize(queries["image_id"], sort=True)
    hits = np.bincount(cluster, queries[column] <= 1)
    weights = draw_cluster_weights(len(images), spec.resamples, seed).astype(np.float64)
    draws = (weights @ hits) / (weights @ np.bincount(cluster))
    recalls = {f"reranked_recall_at_{k}": float((queries[column] <= k).mean()) for k in RECALL_KS}
    low, high = symmetric_interval(recalls["reranked_recall_at_1"], draws, spec.level, (0, 1))
    return recalls | {"reranked_recall_at_1_low": low, "reranked_recall_at_1_high": high}
