import numpy as np
import pytest

from overtop.evaluation import bootstrap
from overtop.evaluation.bootstrap import draw_clusters, resampled, resampled_for_comparison
from overtop.evaluation.calibration import calibrate, correlations
from overtop.evaluation.ordering import Ordering
from overtop.evaluation.rejection import reject
from overtop.evaluation.selective import selective_measures
from overtop.evaluation.significance import interval

STEPS = {"published": 30, "corrected": 7}
SELECTIVE = ("aurc", "eaurc", "augrc", "auroc", "aupr", "coverage")


def drawn(seed, clusters, values=None, sizes=(1, 2, 5)):
    """Clusters of unequal size, whose hits go together."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), rng.choice(sizes, clusters))
    queries = len(cluster)
    uncertainty = rng.random(queries) if values is None else rng.integers(0, values, queries) / values
    hit = rng.random(clusters)[cluster] > uncertainty * rng.random(queries)
    shuffle = rng.permutation(queries)
    return uncertainty[shuffle], hit[shuffle], cluster[shuffle]


def plain(uncertainty, hit, n_bins, precision):
    """The measures of the library's plain functions on queries that stand there as often as they were drawn."""
    found = selective_measures(uncertainty, hit, precision)
    expected = {(name, ""): getattr(found, name) for name in SELECTIVE} | {("recall_at_1", ""): hit.mean()}
    for protocol, step in STEPS.items():
        expected["rejection_auc", protocol] = reject(uncertainty, hit, step, protocol).auc
    for binning in ("equal_width", "equal_count"):
        bins = calibrate(uncertainty, hit, n_bins, binning)
        expected |= {(name, binning): getattr(bins, name) for name in ("spearman", "r2", "neg_sr2")}
    return expected


def assert_same(uncertainty, hit, cluster, weights, n_bins=10, precision=0.8):
    found = resampled(Ordering(uncertainty, hit, cluster), weights, n_bins, precision, STEPS)
    for row, weight in enumerate(weights):
        repeated = np.repeat(np.arange(len(hit)), weight[cluster])
        expected = plain(uncertainty[repeated], hit[repeated], n_bins, precision)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key][row] == pytest.approx(value, abs=1e-10), (row, key)


@pytest.mark.parametrize("n_bins", [1, 5, 10])
@pytest.mark.parametrize("values", [None, 1, 2, 10, 50])
def test_every_resample_is_what_the_plain_functions_say_of_the_repeated_queries(values, n_bins):
    uncertainty, hit, cluster = drawn(n_bins, 60, values)
    assert_same(uncertainty, hit, cluster, draw_clusters(60, 4, seed=1), n_bins)


@pytest.mark.parametrize("values", [None, 1, 10])
def test_what_is_compared_is_what_is_reported(values):
    uncertainty, hit, cluster = drawn(8, 60, values)
    ordering, weights = Ordering(uncertainty, hit, cluster), draw_clusters(60, 30, seed=8)
    found = resampled_for_comparison(ordering, weights, 10)
    expected = resampled(ordering, weights, 10, 0.8, STEPS)
    assert found.keys() == {"neg_sr2", "aurc"}
    np.testing.assert_array_equal(found["neg_sr2"], expected["neg_sr2", "equal_width"])
    np.testing.assert_array_equal(found["aurc"], expected["aurc", ""])


def test_chunks_do_not_matter(monkeypatch):
    uncertainty, hit, cluster = drawn(2, 40, values=30)
    weights = draw_clusters(40, 11, seed=2)
    whole = resampled(Ordering(uncertainty, hit, cluster), weights, 10, 0.8, STEPS)
    monkeypatch.setattr(bootstrap, "CHUNK", 3 * len(hit))
    parts = resampled(Ordering(uncertainty, hit, cluster), weights, 10, 0.8, STEPS)
    for key, value in whole.items():
        assert value.shape == (11,)
        np.testing.assert_array_equal(parts[key], value)


def test_degenerate_resamples():
    """One cluster again and again: one query, equals, all hits, no hits, one missing corner of the range."""
    uncertainty = np.array([0.5, 0.1, 0.1, 0.0, 0.3, 0.7, 1.0, 0.2, 0.4, 0.2, 0.9])
    hit = np.array([1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0], dtype=bool)
    cluster = np.array([0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4])
    weights = np.vstack([5 * np.eye(5, dtype=np.uint16), np.eye(5, dtype=np.uint16), [[2, 0, 0, 1, 2]], [[1] * 5]])
    assert_same(uncertainty, hit, cluster, weights)
    assert_same(uncertainty, np.ones(11, dtype=bool), cluster, weights)
    assert_same(uncertainty, np.zeros(11, dtype=bool), cluster, weights)
    assert_same(np.full(11, 0.25), hit, cluster, weights)


def test_a_resample_cuts_its_own_edges():
    """Without the outlier, equal-width bins tell the others apart."""
    uncertainty = np.append(np.linspace(0, 0.1, 50), 1000.0)
    hit = np.append(np.arange(50) < 25, True)
    weights = np.array([[1] * 51, [1] * 50 + [0]], dtype=np.uint16)
    found = resampled(Ordering(uncertainty, hit), weights, 10, 0.8, STEPS)
    assert found["neg_sr2", "equal_width"][0] < 0
    assert found["neg_sr2", "equal_width"][1] > 0.6


def test_values_on_an_edge_of_a_resample():
    """Multiples of 0.1 are the edges themselves, or are off them by rounding."""
    rng = np.random.default_rng(4)
    uncertainty = rng.integers(0, 11, 80) / 10 + rng.choice([-1e-13, 0, 1e-13], 80)
    assert_same(uncertainty, rng.random(80) > uncertainty, np.arange(80), draw_clusters(80, 12, seed=4))


def test_clusters_are_drawn_as_often_as_there_are_clusters():
    weights = draw_clusters(30, 2000, seed=5)
    assert (weights.sum(axis=1) == 30).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.12)
    assert weights.var(axis=0).mean() == pytest.approx(29 / 30, abs=0.05)
    np.testing.assert_array_equal(weights, draw_clusters(30, 2000, seed=5))
    assert (weights != draw_clusters(30, 2000, seed=6)).any()


def test_dependent_captions_widen_the_interval():
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(200), 5)
    hit = np.repeat(rng.random(200) < 0.6, 5)
    uncertainty = rng.random(1000)

    def width(cluster):
        weights = draw_clusters(cluster.max() + 1, 400, seed=6)
        low, high = interval(
            resampled(Ordering(uncertainty, hit, cluster), weights, 5, 0.8, STEPS)["recall_at_1", ""], 0.95
        )
        return high - low

    assert width(cluster) == pytest.approx(5**0.5 * width(np.arange(1000)), rel=0.15)
    assert width(cluster) == pytest.approx(2 * 1.96 * (0.24 / 200) ** 0.5, rel=0.15)


def test_an_uninformative_score_gets_a_wide_interval():
    """-S R2 of a score that says nothing has a standard deviation of about 0.3 at 1,000 queries and 5 bins."""
    rng = np.random.default_rng(7)
    n_queries = rng.multinomial(1000, [1 / 5] * 5, size=2000)
    spearman, r2, _ = correlations(n_queries, rng.binomial(n_queries, 0.6))
    assert np.std(spearman * r2) == pytest.approx(0.3, abs=0.1)
    widths = []
    for seed in range(5):
        ordering = Ordering(rng.random(1000), rng.random(1000) < 0.6)
        draws = resampled(ordering, draw_clusters(1000, 200, seed), 5, 0.8, STEPS)["neg_sr2", "equal_width"]
        low, high = interval(draws, 0.95)
        widths.append(high - low)
    assert np.median(widths) > 0.6
