"""Intervals of all measures: do they contain the measured value, and the one of infinitely many queries?"""

import numpy as np
import pandas as pd
import pytest

from helpers.interval_simulation import MODELS, SIGNED, draw_queries, simulate
from overtop.config.evaluation import EvaluationSpec
from overtop.evaluation.metrics import evaluate
from overtop.tables.rows import INTERVALS

CALIBRATION = ["spearman", "r2", "neg_sr2"]


@pytest.mark.parametrize("model", ["bell", "votes"])
def test_symmetric_intervals_contain_the_true_value_where_others_do_not(model):
    coverage = simulate(model, 200, 80, 200, infinite=100_000)
    assert (coverage.loc[CALIBRATION, "percentile"] < 0.5).all()
    assert (coverage.loc[CALIBRATION, "BC"] < 0.8).all()
    assert (coverage.loc[CALIBRATION, "symmetric"] > 0.85).all()
    assert coverage.loc["coverage", "basic"] < 0.85
    assert (coverage.loc[["recall_at_1", "aurc", "auroc", "aupr", "coverage"], "symmetric"] > 0.86).all()


def test_coverage_interval_contains_zero_if_no_share_has_the_precision():
    """In a sample the most certain queries may all be hits, so that the measured coverage is above 0."""
    coverage = simulate("constant", 200, 80, 200, infinite=100_000).loc["coverage"]
    assert coverage["percentile"] < 0.7
    assert coverage["symmetric"] > 0.9


@pytest.mark.parametrize("model", MODELS)
def test_every_number_is_in_its_interval_and_range(model):
    spec = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100, "reference": "first"}})
    rng = np.random.default_rng(1)
    for queries in (1, 2, 3, 5, 20, 300):
        uncertainty, hit = draw_queries(model, rng, queries)
        other = np.round(uncertainty + 0.2 * rng.random(queries), 1)  # ties
        scores = [make_scores("first", uncertainty, hit), make_scores("second", other, hit)]
        assert_numbers_in_their_intervals(evaluate(pd.concat(scores), spec, seed=queries).metrics)


def make_scores(estimator, uncertainty, hit):
    """Return the scores of one estimator; every image has up to two queries."""
    number = np.arange(len(hit))
    return pd.DataFrame(
        {
            "query_id": number,
            "image_id": number // 2,
            "direction": "t2i",
            "estimator": estimator,
            "protocol": "corrected",
            "uncertainty": uncertainty,
            "hit": hit,
            "hit_extended": pd.array([pd.NA] * len(hit), dtype="boolean"),
            "rank": np.where(hit, 1, 4 + number % 9),
            "rank_extended": np.nan,
            "tied": False,
            "absent": False,
        }
    )


def assert_numbers_in_their_intervals(metrics):
    differences = ["aurc_diff", "rejection_auc_diff"]
    for name in [*INTERVALS, *differences]:
        value, low, high = (metrics[name + end] for end in ("", "_low", "_high"))
        known = value.notna()
        assert (known == (low.notna() & high.notna())).all(), name
        assert ((low <= value) & (value <= high))[known].all(), name
        assert (high[known] <= 1 + 1e-12).all(), name
        assert (low[known] >= (-1 if name in (*SIGNED, *differences) else 0) - 1e-12).all(), name
        if name in CALIBRATION:
            assert (known == metrics["calibration_defined"]).all()
        elif name not in differences:
            assert known.all()
    assert ((metrics["aurc_diff_low"] > 0) | (metrics["aurc_diff_high"] < 0)).equals(metrics["p_value"] < 0.05)
