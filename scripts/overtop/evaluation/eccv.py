"""R@1 over the queries that ECCV Caption judged (Chun et al. 2022, arXiv:2204.03359): the `eccv_r1` of its package.

Of COCO's 25,000 test captions and 5,000 test images, 1,332 captions and 1,261 images were judged as queries, each
against the candidates of five retrieval models. All other queries have labelled matches and few more, so their recall
says little about missing labels.
"""

import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.significance import symmetric_interval
from overtop.seeds import derive_seed


def measure_eccv_recall(scores: pd.DataFrame, spec: BootstrapSpec, seed: int) -> pd.DataFrame:
    """Measure R@1 over the judged queries of each direction, with its bootstrap interval over their images.

    Args:
        scores: score table of one posterior (`estimators.scoring`), with `hit_eccv`.
        spec: resamples and level of the interval.
        seed: of the resamples.

    Returns:
        One row per direction with judged queries: `direction`, `n_eccv_queries`, `eccv_recall_at_1` and the ends of its
        interval (`_low`, `_high`). It does not depend on the estimator.
    """
    rows = []
    for direction, queries in scores.drop_duplicates(["direction", "query_id"]).groupby("direction", sort=False):
        judged = queries[queries["hit_eccv"].notna()]
        if judged.empty:
            continue
        images = judged.groupby("image_id")["hit_eccv"].agg(["sum", "size"]).to_numpy()
        weights = draw_cluster_weights(len(images), spec.resamples, derive_seed(seed, str(direction), "eccv"))
        n_hits, n_queries = (weights @ images).T
        recall = judged["hit_eccv"].mean()
        low, high = symmetric_interval(recall, n_hits / n_queries, spec.level, bounds=(0, 1))
        rows.append([direction, len(judged), recall, low, high])
    columns = ["direction", "n_eccv_queries", *(f"eccv_recall_at_1{end}" for end in ("", "_low", "_high"))]
    return pd.DataFrame(rows, columns=columns)
