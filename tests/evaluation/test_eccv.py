import numpy as np
import pandas as pd
import pytest

from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.eccv import measure_eccv_recall
from overtop.seeds import derive_seed

SPEC = BootstrapSpec(resamples=200)


def make_scores(estimators=("a", "b")):
    """Return the scores of 60 captions of 20 images and of the images; half of the captions and no image is judged."""
    rng = np.random.default_rng(0)
    hit = np.where(rng.random(60) < 0.5, np.nan, rng.random(60) < 0.7)
    captions = pd.DataFrame({"query_id": range(60), "image_id": np.arange(60) // 3, "direction": "t2i"})
    images = pd.DataFrame({"query_id": range(20), "image_id": range(20), "direction": "i2t", "hit_eccv": np.nan})
    queries = pd.concat([captions.assign(hit_eccv=hit), images])
    return pd.concat([queries.assign(estimator=name) for name in estimators], ignore_index=True)


def test_recall_is_over_judged_queries_of_one_estimator():
    scores = make_scores()
    table = measure_eccv_recall(scores, SPEC, seed=0)
    judged = [hit for hit in scores["hit_eccv"][:60] if not np.isnan(hit)]
    assert table["direction"].tolist() == ["t2i"]  # the other direction has no judged query
    assert table["n_eccv_queries"].item() == len(judged) < 60
    assert table["eccv_recall_at_1"].item() == pytest.approx(sum(judged) / len(judged))


def test_interval_is_that_of_repeated_images():
    scores = make_scores(("a",)).iloc[:60]
    judged = scores[scores["hit_eccv"].notna()]
    by_image = [rows["hit_eccv"].tolist() for _, rows in judged.groupby("image_id")]
    recalls = []
    for weights in draw_cluster_weights(len(by_image), SPEC.resamples, derive_seed(5, "t2i", "eccv")):
        drawn = [hit for hits, times in zip(by_image, weights, strict=True) for hit in hits * int(times)]
        recalls.append(sum(drawn) / len(drawn))
    table = measure_eccv_recall(scores, SPEC, seed=5)
    recall = table["eccv_recall_at_1"].item()
    distances = sorted(abs(drawn - recall) for drawn in recalls)
    radius = distances[190]  # 95 % of the 200 resamples and the sample itself
    expected = [recall - radius, min(1, recall + radius)]
    np.testing.assert_allclose(table[["eccv_recall_at_1_low", "eccv_recall_at_1_high"]].to_numpy()[0], expected)
    assert 0.05 < radius < 0.3
