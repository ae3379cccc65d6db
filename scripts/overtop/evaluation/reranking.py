"""Recall of the items that are best by the normalised similarities of a bank estimator, beside the recall without."""

import numpy as np
import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.bootstrap import bootstrap_recalls, draw_cluster_weights
from overtop.evaluation.recall import RECALL_KS
from overtop.evaluation.significance import symmetric_interval
from overtop.seeds import derive_seed

RERANKED_COLUMNS = {"labelled": "reranked_rank", "extended": "reranked_rank_extended"}
"""Column of the score table with the rank of the best positive after re-ranking, by set of positives."""

KEY = ["direction", "estimator", "protocol", "positives"]
"""Columns that identify a row of `measure_reranking`."""

COLUMNS = [f"reranked_recall_at_{k}{end}" for k in RECALL_KS for end in ("", "_low", "_high")]
"""Measures of `measure_reranking`."""


def measure_reranking(scores: pd.DataFrame, spec: BootstrapSpec, seed: int) -> pd.DataFrame:
    """Measure the recall after re-ranking by each estimator that has one, with intervals.

    Args:
        scores: score table of one posterior on one split (`estimators.scoring`); without the columns of
            `RERANKED_COLUMNS`, nothing is measured.
        spec: of the bootstrap.
        seed: of the resamples, as for `evaluate`: the resamples are the same as for `recall_at_1`.

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
    """The recalls at `RECALL_KS` with their intervals."""
    cluster, images = pd.factorize(queries["image_id"], sort=True)
    weights = draw_cluster_weights(len(images), spec.resamples, seed)
    rank = queries[column].to_numpy(dtype=np.float64)
    draws = bootstrap_recalls(rank, cluster, weights, RECALL_KS)
    row: dict[str, float] = {}
    for k in RECALL_KS:
        name, recall = f"reranked_recall_at_{k}", float((rank <= k).mean())
        low, high = symmetric_interval(recall, draws[f"recall_at_{k}", ""], spec.level, (0, 1))
        row |= {name: recall, f"{name}_low": low, f"{name}_high": high}
    return row
