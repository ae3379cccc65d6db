"""Intervals in simulations: do they contain the measured value, and that of infinitely many queries?

docs/evaluation.md has the coverage of a larger simulation with the same models.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from overtop.config.evaluation import EvaluationSpec
from overtop.evaluation.bootstrap import bootstrap_measures, draw_cluster_weights
from overtop.evaluation.metrics import evaluate
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.significance import symmetric_interval
from overtop.tables.rows import INTERVALS

N_BINS, PRECISION, LEVEL, QUERIES = 10, 0.9, 0.95, 200
SIGNED = ("spearman", "neg_sr2")
MODELS = {
    "bell": (lambda rng, n: rng.beta(5, 5, n), lambda u: expit(5 - 8.5 * u)),
    "skewed": (lambda rng, n: rng.beta(1, 6, n), lambda u: expit(3.2 - 12 * u)),
    "votes": (lambda rng, n: rng.binomial(10, rng.beta(1, 2, n)) / 10, lambda u: expit(2.6 - 5.5 * u)),
    "constant": (lambda rng, n: rng.beta(2, 5, n), lambda u: np.full(len(u), 0.8)),
}
"""Distribution of the uncertainty, and the probability of a hit."""


def sample(model, rng, n):
    draw, probability = MODELS[model]
    uncertainty = draw(rng, n)
    return uncertainty, rng.random(n) < probability(uncertainty)


def measure(uncertainty, hit, weights):
    queries = SortedQueries(uncertainty, hit)
    return {
        name: values
        for (name, variant), values in bootstrap_measures(queries, weights, N_BINS, PRECISION, {}).items()
        if variant in ("", "equal_width corrected")
    }


def simulate(model, repetitions=80, resamples=200):
    """Return the share of percentile and of symmetric intervals that contain the value of infinitely many queries."""
    rng = np.random.default_rng(0)
    true = measure(*sample(model, rng, 100_000), np.ones((1, 100_000)))
    contained = {name: np.zeros(2) for name in true}
    for seed in range(repetitions):
        queries = sample(model, rng, QUERIES)
        value = measure(*queries, np.ones((1, QUERIES)))
        for name, draws in measure(*queries, draw_cluster_weights(QUERIES, resamples, seed)).items():
            percentiles = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            symmetric = symmetric_interval(value[name][0], draws, LEVEL, (-1 if name in SIGNED else 0, 1))
            for k, (low, high) in enumerate((percentiles, symmetric)):
                contained[name][k] += low - 1e-9 <= true[name][0] <= high + 1e-9
    return {name: counts / repetitions for name, counts in contained.items()}


def test_symmetric_intervals_contain_the_true_value_where_percentiles_do_not():
    for model in ("bell", "votes"):
        coverage = simulate(model)
        for name in ("spearman", "r2", "neg_sr2"):
            percentiles, symmetric = coverage[name]
            assert percentiles < 0.5, (model, name)
            assert symmetric > 0.85, (model, name)
        for name in ("recall_at_1", "aurc", "auroc", "aupr", "coverage"):
            assert coverage[name][1] > 0.87, (model, name)


def test_coverage_interval_contains_zero_if_no_share_has_the_precision():
    """In a sample the most certain queries may all be hits, so that the measured coverage is above 0."""
    percentiles, symmetric = simulate("constant")["coverage"]
    assert percentiles < 0.7
    assert symmetric > 0.9


@pytest.mark.parametrize("model", MODELS)
def test_every_number_is_in_its_interval_and_range(model):
    spec = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100, "reference": "first"}})
    rng = np.random.default_rng(1)
    for queries in (1, 2, 3, 5, 20, 300):
        uncertainty, hit = sample(model, rng, queries)
        other = np.round(uncertainty + 0.2 * rng.random(queries), 1)  # ties
        metrics = evaluate(
            pd.concat([make_scores("first", uncertainty, hit), make_scores("second", other, hit)]), spec, seed=queries
        ).metrics
        assert_numbers_in_their_intervals(metrics)


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
        }
    )


def assert_numbers_in_their_intervals(metrics):
    defined = metrics["calibration_defined"]
    for name in [*INTERVALS, "aurc_diff", "rejection_auc_diff"]:
        value, low, high = (metrics[name + end] for end in ("", "_low", "_high"))
        known = value.notna()
        assert (known == (low.notna() & high.notna())).all(), name
        assert ((low <= value) & (value <= high))[known].all(), name
        assert (high[known] <= 1 + 1e-12).all(), name
        assert (low[known] >= (-1 if name in SIGNED or name.endswith("diff") else 0) - 1e-12).all(), name
        if name in ("spearman", "r2", "neg_sr2"):
            assert (known == defined).all()
        elif not name.endswith("diff"):
            assert known.all()
    assert ((metrics["aurc_diff_low"] > 0) | (metrics["aurc_diff_high"] < 0)).equals(metrics["p_value"] < 0.05)
