import numpy as np
import pytest

from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.precision import measure_precision
from overtop.evaluation.rejection import measure_rejection
from overtop.evaluation.significance import symmetric_interval


def draw_queries(seed=0, n=60, n_clusters=20, n_levels=9):
    rng = np.random.default_rng(seed)
    uncertainty = rng.integers(0, n_levels, n) / n_levels
    hit = rng.random(n) > uncertainty
    return uncertainty, hit, rng.permutation(np.arange(n) % n_clusters)


@pytest.mark.parametrize("n_levels", [1, 2, 9, 10**6])
def test_errors_are_those_of_the_rejection_curve_also_within_ties(n_levels):
    uncertainty, hit, cluster = draw_queries(n_levels=n_levels)
    curve = measure_rejection(uncertainty, hit, step=1, protocol="corrected").curve
    answered = (60 - curve["n_rejected"]).to_numpy()
    weights = np.ones((100, 20), dtype=np.uint16)
    precision = measure_precision(SortedQueries(uncertainty, hit, cluster), weights, answered, 0.95)
    np.testing.assert_allclose(1 - precision.errors / answered, curve["recall_at_1"])


def test_interval_is_that_of_repeated_queries():
    uncertainty, hit, cluster = draw_queries()
    weights = draw_cluster_weights(20, 150, seed=1)
    answered = np.array([1, 15, 30, 60])
    precision = measure_precision(SortedQueries(uncertainty, hit, cluster), weights, answered, 0.9)
    draws = []
    for row in weights:
        copies = np.repeat(np.arange(60), row[cluster])
        counts = SortedQueries(uncertainty[copies], hit[copies]).count()
        shares = answered / 60 * len(copies)
        draws.append(1 - np.interp(shares, counts.n_queries[0], counts.n_misses[0]) / shares)
    low, high = symmetric_interval(1 - precision.errors / answered, np.array(draws).T, 0.9, (0, 1))
    np.testing.assert_allclose((precision.low, precision.high), (low, high))


def test_single_query_has_one_point():
    weights = draw_cluster_weights(1, 100, seed=0)
    precision = measure_precision(SortedQueries(np.array([0.5]), np.array([True])), weights, np.array([1]), 0.95)
    assert (precision.errors, precision.low, precision.high) == ([0], [1], [1])


def test_interval_of_all_queries_is_that_of_recall():
    uncertainty, hit, cluster = draw_queries()
    weights = draw_cluster_weights(20, 500, seed=2)
    precision = measure_precision(SortedQueries(uncertainty, hit, cluster), weights, np.array([60]), 0.95)
    sums = weights.astype(float) @ np.stack([np.bincount(cluster, hit), np.bincount(cluster)], axis=1)
    expected = symmetric_interval(hit.mean(), sums[:, 0] / sums[:, 1], 0.95, (0, 1))
    np.testing.assert_allclose((precision.low[0], precision.high[0]), expected)
