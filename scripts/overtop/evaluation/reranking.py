"""Recall of the items that are best by the normalised similarities of a bank estimator, beside the recall without."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.bootstrap import bootstrap_recalls, draw_cluster_weights
from overtop.evaluation.combinations import KEY
from overtop.evaluation.recall import RECALL_KS
from overtop.evaluation.significance import symmetric_interval
from overtop.seeds import derive_seed

RERANKED_COLUMNS = {"labelled": "reranked_rank", "extended": "reranked_rank_extended"}
"""Column of the score table with the rank of the best positive after re-ranking, by set of positives."""

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
    for direction, of_direction in scores.groupby("direction", sort=False):
        reranked = list(_reranked_queries(of_direction))
        if not reranked:
            continue
        n_images = of_direction["image_id"].nunique()
        weights = draw_cluster_weights(n_images, spec.resamples, derive_seed(seed, str(direction)))
        for names, queries in reranked:
            key = dict(zip(KEY, (direction, *names), strict=True))
            rows.append(key | _measure_recall(queries, weights, spec.level))
    return pd.DataFrame(rows, columns=[*KEY, *COLUMNS])


def _reranked_queries(scores: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Estimator, protocol and set of positives with the columns `image_id` and `rank` of the queries of a direction."""
    for (estimator, protocol), queries in scores.groupby(["estimator", "protocol"], sort=False):
        for positives, column in RERANKED_COLUMNS.items():
            if column in queries and queries[column].notna().all():
                yield (
                    (estimator, protocol, positives),
                    pd.DataFrame({"image_id": queries["image_id"], "rank": queries[column].astype(np.float64)}),
                )


def _measure_recall(queries: pd.DataFrame, weights: np.ndarray, level: float) -> dict[str, float]:
    """The recalls at `RECALL_KS` with their intervals, from the weights (B, images) of the resamples."""
    cluster, _ = pd.factorize(queries["image_id"], sort=True)
    rank = queries["rank"].to_numpy()
    draws = bootstrap_recalls(rank, cluster, weights, RECALL_KS)
    row: dict[str, float] = {}
    for k in RECALL_KS:
        name, recall = f"reranked_recall_at_{k}", float((rank <= k).mean())
        low, high = symmetric_interval(recall, draws[f"recall_at_{k}", ""], level, (0, 1))
        row |= {name: recall, f"{name}_low": low, f"{name}_high": high}
    return row
