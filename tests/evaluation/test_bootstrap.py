import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from overtop.evaluation import bootstrap
from overtop.evaluation.bootstrap import (
    bootstrap_compared_measures,
    bootstrap_measures,
    bootstrap_recalls,
    draw_cluster_weights,
    sum_in_resamples,
)
from overtop.evaluation.calibration import correlate_recall_with_level, measure_calibration
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.rejection import measure_rejection
from overtop.evaluation.selective import measure_selective_prediction

STEPS = {"published": 30, "corrected": 7}
SELECTIVE = ("aurc", "eaurc", "augrc", "auroc", "aupr", "coverage")


def random_queries(seed, clusters, values=None, sizes=(1, 2, 5)):
    """Return uncertainties, hits and clusters of unequal size; the hits of a cluster are correlated."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), rng.choice(sizes, clusters))
    queries = len(cluster)
    uncertainty = rng.random(queries) if values is None else rng.integers(0, values, queries) / values
    hit = rng.random(clusters)[cluster] > uncertainty * rng.random(queries)
    shuffle = rng.permutation(queries)
    return uncertainty[shuffle], hit[shuffle], cluster[shuffle]


def measure_repeated_queries(uncertainty, hit, n_bins, precision):
    """Return the measures of queries that were repeated by their weight, from the functions for one set of queries."""
    selective = measure_selective_prediction(uncertainty, hit, precision)
    expected = {(name, ""): getattr(selective, name) for name in SELECTIVE} | {("recall_at_1", ""): hit.mean()}
    for protocol, step in STEPS.items():
        expected["rejection_auc", protocol] = measure_rejection(uncertainty, hit, step, protocol).auc
    for variant in ("equal_width published", "equal_width corrected", "equal_count"):
        bins = measure_calibration(uncertainty, hit, n_bins, *variant.split())
        expected |= {(name, variant): getattr(bins, name) for name in ("spearman", "r2", "neg_sr2")}
    return expected


def assert_equals_repeated_queries(uncertainty, hit, cluster, weights, n_bins=10, precision=0.8):
    draws = bootstrap_measures(SortedQueries(uncertainty, hit, cluster), weights, n_bins, precision, STEPS)
    for row, weight in enumerate(weights):
        repeated = np.repeat(np.arange(len(hit)), weight[cluster])
        expected = measure_repeated_queries(uncertainty[repeated], hit[repeated], n_bins, precision)
        assert draws.keys() == expected.keys()
        for key, value in expected.items():
            assert draws[key][row] == pytest.approx(value, abs=1e-10, nan_ok=True), (row, key)


@pytest.mark.parametrize("n_bins", [1, 5, 10])
@pytest.mark.parametrize("values", [None, 1, 2, 10, 50])
def test_resample_has_the_measures_of_the_repeated_queries(values, n_bins):
    uncertainty, hit, cluster = random_queries(n_bins, 60, values)
    assert_equals_repeated_queries(uncertainty, hit, cluster, draw_cluster_weights(60, 4, seed=1), n_bins)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("values", [None, 1, 10])
def test_compared_measures_equal_the_reported_ones(values, protocol):
    uncertainty, hit, cluster = random_queries(8, 60, values)
    queries, weights = SortedQueries(uncertainty, hit, cluster), draw_cluster_weights(60, 30, seed=8)
    compared = bootstrap_compared_measures(queries, weights, 10, protocol)
    expected = bootstrap_measures(queries, weights, 10, 0.8, STEPS)
    assert compared.keys() == {"neg_sr2", "aurc"}
    np.testing.assert_array_equal(compared["neg_sr2"], expected["neg_sr2", f"equal_width {protocol}"])
    np.testing.assert_array_equal(compared["aurc"], expected["aurc", ""])


def test_recalls_equal_those_of_the_repeated_queries(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLE_BYTES", 5 * 8 * 40)  # several blocks
    _, _, cluster = random_queries(3, 40)
    rank = np.random.default_rng(3).choice([1, 2, 5, 6, np.inf], len(cluster))
    weights = draw_cluster_weights(40, 12, seed=3)
    recalls = bootstrap_recalls(rank, cluster, weights, (1, 5))
    assert recalls.keys() == {("recall_at_1", ""), ("recall_at_5", "")}
    for k in (1, 5):
        expected = [(np.repeat(rank, weight[cluster]) <= k).mean() for weight in weights]
        np.testing.assert_allclose(recalls[f"recall_at_{k}", ""], expected, rtol=1e-12)


def test_block_size_does_not_change_the_draws(monkeypatch):
    uncertainty, hit, cluster = random_queries(2, 40, values=30)
    weights = draw_cluster_weights(40, 11, seed=2)
    whole = bootstrap_measures(SortedQueries(uncertainty, hit, cluster), weights, 10, 0.8, STEPS)
    monkeypatch.setattr(bootstrap, "RESAMPLE_BYTES", 3 * 8 * len(hit))
    parts = bootstrap_measures(SortedQueries(uncertainty, hit, cluster), weights, 10, 0.8, STEPS)
    for key, value in whole.items():
        assert value.shape == (11,)
        np.testing.assert_array_equal(parts[key], value)


def test_number_of_threads_does_not_change_the_draws():
    rng = np.random.default_rng(3)
    values, cluster = [rng.normal(size=1000) for _ in range(40)], np.arange(1000)
    weights, sums = draw_cluster_weights(1000, 200, seed=3), []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            sums.append(sum_in_resamples(values, cluster, weights))
    np.testing.assert_array_equal(sums[1:], sums[:1] * 2)
    np.testing.assert_allclose(sums[0], values @ weights.T)


def test_degenerate_resample_has_the_measures_of_the_repeated_queries():
    """Resamples of one cluster: a single query, ties, all hits, no hits, and without one end of the range."""
    uncertainty = np.array([0.5, 0.1, 0.1, 0.0, 0.3, 0.7, 1.0, 0.2, 0.4, 0.2, 0.9])
    hit = np.array([1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0], dtype=bool)
    cluster = np.array([0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4])
    weights = np.vstack([5 * np.eye(5, dtype=np.uint16), np.eye(5, dtype=np.uint16), [[2, 0, 0, 1, 2]], [[1] * 5]])
    assert_equals_repeated_queries(uncertainty, hit, cluster, weights)
    assert_equals_repeated_queries(uncertainty, np.ones(11, dtype=bool), cluster, weights)
    assert_equals_repeated_queries(uncertainty, np.zeros(11, dtype=bool), cluster, weights)
    assert_equals_repeated_queries(np.full(11, 0.25), hit, cluster, weights)


def test_resample_without_the_outlier_has_narrower_bins():
    uncertainty = np.append(np.linspace(0, 0.1, 50), 1000.0)
    hit = np.append(np.arange(50) < 25, True)
    weights = np.array([[1] * 51, [1] * 50 + [0]], dtype=np.uint16)
    draws = bootstrap_measures(SortedQueries(uncertainty, hit), weights, 10, 0.8, STEPS)
    assert draws["neg_sr2", "equal_width corrected"][0] < 0
    assert draws["neg_sr2", "equal_width corrected"][1] > 0.6


def test_value_on_an_edge_is_assigned_as_in_measure_calibration():
    """Multiples of 0.1 lie exactly on the edges or miss them by rounding."""
    rng = np.random.default_rng(4)
    uncertainty = rng.integers(0, 11, 80) / 10 + rng.choice([-1e-13, 0, 1e-13, 1e-8], 80)
    assert_equals_repeated_queries(
        uncertainty, rng.random(80) > uncertainty, np.arange(80), draw_cluster_weights(80, 12, seed=4)
    )


def test_weights_sum_to_the_number_of_clusters_and_follow_the_seed():
    weights = draw_cluster_weights(30, 2000, seed=5)
    assert (weights.sum(axis=1) == 30).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.12)
    assert weights.var(axis=0).mean() == pytest.approx(29 / 30, abs=0.05)
    np.testing.assert_array_equal(weights, draw_cluster_weights(30, 2000, seed=5))
    assert (weights != draw_cluster_weights(30, 2000, seed=6)).any()


def test_dependent_captions_widen_the_interval():
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(200), 5)
    hit = np.repeat(rng.random(200) < 0.6, 5)
    uncertainty = rng.random(1000)

    def width(cluster):
        weights = draw_cluster_weights(cluster.max() + 1, 400, seed=6)
        low, high = np.quantile(
            bootstrap_measures(SortedQueries(uncertainty, hit, cluster), weights, 5, 0.8, STEPS)["recall_at_1", ""],
            [0.025, 0.975],
        )
        return high - low

    assert width(cluster) == pytest.approx(5**0.5 * width(np.arange(1000)), rel=0.15)
    assert width(cluster) == pytest.approx(2 * 1.96 * (0.24 / 200) ** 0.5, rel=0.15)


def test_uninformative_uncertainty_has_a_wide_interval():
    """-S R2 of a random uncertainty has a standard deviation of about 0.3 at 1,000 queries and 5 bins."""
    rng = np.random.default_rng(7)
    n_queries = rng.multinomial(1000, [1 / 5] * 5, size=2000)
    neg_sr2 = correlate_recall_with_level(n_queries, rng.binomial(n_queries, 0.6))["neg_sr2"]
    assert np.std(neg_sr2) == pytest.approx(0.3, abs=0.1)
    widths = []
    for seed in range(5):
        queries = SortedQueries(rng.random(1000), rng.random(1000) < 0.6)
        draws = bootstrap_measures(queries, draw_cluster_weights(1000, 200, seed), 5, 0.8, STEPS)[
            "neg_sr2", "equal_width corrected"
        ]
        low, high = np.quantile(draws, [0.025, 0.975])
        widths.append(high - low)
    assert np.median(widths) > 0.6
