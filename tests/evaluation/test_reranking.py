"""Recall after re-ranking, beside that of the ranking itself."""

import numpy as np
import pandas as pd

from overtop.config.evaluation import BootstrapSpec, EvaluationSpec
from overtop.evaluation.metrics import evaluate
from overtop.evaluation.reranking import COLUMNS, measure_reranking

SPEC = BootstrapSpec(resamples=400)


def make_scores(n_images=60, per_image=2):
    """Return the scores of an estimator without re-ranked items and of one with them."""
    rng = np.random.default_rng(0)
    queries = n_images * per_image
    rank = rng.choice([1.0, 2.0, 7.0, np.inf], queries)
    frame = pd.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(queries)],
            "image_id": [f"i{i // per_image}" for i in range(queries)],
            "direction": "t2i",
            "protocol": "corrected",
            "uncertainty": rng.random(queries),
            "hit": rank == 1,
            "hit_extended": pd.array([pd.NA] * queries, dtype="boolean"),
            "rank": rank,
            "rank_extended": np.nan,
            "tied": False,
            "absent": False,
            "reranked_rank_extended": np.nan,
        }
    )
    reranked = rng.choice([1.0, 1.0, 4.0, 9.0, np.inf], queries)
    return pd.concat(
        [
            frame.assign(estimator="top1_similarity", reranked_rank=np.nan),
            frame.assign(estimator="bank_nnn", reranked_rank=reranked),
            frame.assign(estimator="bank_softmax", reranked_rank=rank),
        ],
        ignore_index=True,
    )


def test_recall_is_the_share_of_queries_with_a_positive_among_the_best():
    scores = make_scores()
    rows = measure_reranking(scores, SPEC, seed=0).set_index("estimator")
    assert list(rows.index) == ["bank_nnn", "bank_softmax"]
    assert set(rows["positives"]) == {"labelled"}
    for estimator, row in rows.iterrows():
        ranks = scores.loc[scores["estimator"] == estimator, "reranked_rank"].tolist()
        for k in (1, 5, 10):
            name = f"reranked_recall_at_{k}"
            assert row[name] == sum(rank <= k for rank in ranks) / len(ranks)
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_items_in_the_same_order_have_the_recall_and_interval_of_the_ranking():
    metrics = evaluate(make_scores(), EvaluationSpec(bootstrap=SPEC), seed=3).metrics.set_index("estimator")
    same = metrics.loc["bank_softmax"]
    assert (same["reranked_recall_at_1"] == same["recall_at_1"]).all()
    np.testing.assert_allclose(same["reranked_recall_at_1_low"], same["recall_at_1_low"], atol=1e-12)
    np.testing.assert_allclose(same["reranked_recall_at_1_high"], same["recall_at_1_high"], atol=1e-12)
    assert metrics.loc["top1_similarity", COLUMNS].isna().all(axis=None)
    assert metrics.loc["bank_nnn", COLUMNS].notna().all(axis=None)
    assert len(metrics) == 3 * 2


def test_scores_without_re_ranked_items_have_no_recall():
    assert measure_reranking(
        make_scores().drop(columns=["reranked_rank", "reranked_rank_extended"]), SPEC, seed=0
    ).empty
