import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.rank_correlation import measure_rank_correlation, resample_rank_correlations


def make_queries(case):
    """Uncertainties and ranks of the best positive, (Q,) each."""
    rng = np.random.default_rng(0)
    rank = rng.choice([1, 1, 1, 2, 3, 10, np.inf], 60)
    uncertainty = rng.normal(size=60) + 0.5 * np.minimum(rank, 5)
    return {
        "informative": (uncertainty, rank),
        "ties": (uncertainty.round(), rank),
        "hits and misses": (uncertainty, np.where(rank == 1, 1, np.inf)),
        "constant uncertainty": (np.zeros(60), rank),
        "constant performance": (uncertainty, np.ones(60)),
        "one query": (np.array([0.3]), np.array([2.0])),
        "perfect": (np.arange(5.0), np.array([1, 2, 3, 4, np.inf])),
        "inverted": (-np.arange(4.0), np.array([1, 2, 3, np.inf])),
    }[case]


CASES = (
    "informative", "ties", "hits and misses", "constant uncertainty", "constant performance", "one query", "perfect",
    "inverted",
)  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES)


def plain_smare(uncertainty, rank):
    ranks = rankdata(-uncertainty), rankdata(1 / rank)
    return np.mean(np.abs(ranks[0] - ranks[1])) / len(rank)


@every_case
def test_tau_b_and_smare_equal_their_definitions(case):
    uncertainty, rank = make_queries(case)
    correlation = measure_rank_correlation(uncertainty, rank)
    expected = kendalltau(-uncertainty, 1 / rank).statistic if len(rank) > 1 else np.nan
    assert correlation.tau_b == pytest.approx(0.0 if np.isnan(expected) else expected, abs=1e-12)
    assert correlation.smare == pytest.approx(plain_smare(uncertainty, rank), abs=1e-12)


@every_case
def test_influence_is_the_change_by_a_small_weight_of_the_query(case):
    """Each query is repeated many times, and one of them once more."""
    uncertainty, rank = make_queries(case)
    copies = 400
    repeated = [np.repeat(values, copies) for values in (uncertainty, rank)]
    correlation = measure_rank_correlation(uncertainty, rank)
    for influence in (correlation.tau_b_influence, correlation.smare_influence):
        assert influence.sum() == pytest.approx(0, abs=1e-9)
    for query in range(min(4, len(rank))):
        once_more = [np.append(values, values[query * copies]) for values in repeated]
        changed = measure_rank_correlation(*once_more)
        tau_b, smare = correlation.tau_b_influence[query] / copies, correlation.smare_influence[query] / copies
        assert changed.tau_b - correlation.tau_b == pytest.approx(tau_b, abs=2e-6)
        assert changed.smare - correlation.smare == pytest.approx(smare, abs=2e-6)


def test_linearised_resamples_have_the_mean_and_spread_of_the_full_bootstrap():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(200), 3)
    rank = rng.choice([1, 1, 2, 5, np.inf], 600)
    uncertainty = rng.normal(size=600) + np.minimum(rank, 4) / 4 + rng.normal(size=200)[cluster]
    weights = draw_cluster_weights(200, 400, seed=0)
    correlations = [measure_rank_correlation(u, rank) for u in (rng.normal(size=600), uncertainty)]
    linear = resample_rank_correlations(correlations, cluster, weights)[1]
    full = {"tau_b": [], "smare": []}
    for row in weights:
        queries = np.repeat(np.arange(600), row[cluster])
        full["tau_b"].append(kendalltau(-uncertainty[queries], 1 / rank[queries]).statistic)
        full["smare"].append(plain_smare(uncertainty[queries], rank[queries]))
    for name, values in full.items():
        assert np.std(linear[name, ""]) == pytest.approx(np.std(values), rel=0.05)
        assert np.corrcoef(linear[name, ""], values)[0, 1] > 0.98
        assert np.mean(linear[name, ""]) == pytest.approx(np.mean(values), abs=0.25 * np.std(values))
