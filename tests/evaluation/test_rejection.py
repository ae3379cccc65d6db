import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.evaluation.rejection import measure_rejection


def random_scores(seed, queries, values=None):
    rng = np.random.default_rng(seed)
    uncertainty = rng.random(queries) if values is None else rng.integers(0, values, queries) / values
    return uncertainty, rng.random(queries) > uncertainty


@pytest.mark.parametrize("step", [1, 7, 50, 99, 100, 1000])
@pytest.mark.parametrize("values", [None, 1, 2, 5])
def test_curve_equals_the_oracle(values, step):
    uncertainty, hit = random_scores(step, 100, values)
    curve = measure_rejection(uncertainty, hit, step, "corrected").curve
    cuts = list(range(0, 100, step))
    assert curve["n_rejected"].tolist() == cuts
    np.testing.assert_allclose(curve["fraction_rejected"], np.array(cuts) / 100)
    expected = [oracles.rejection_recall(uncertainty.tolist(), hit.tolist(), cut) for cut in cuts]
    np.testing.assert_allclose(curve["recall_at_1"], expected, atol=1e-12)
    best = [np.sort(hit)[cut:].mean() for cut in cuts]
    np.testing.assert_allclose(curve["oracle_recall_at_1"], best, atol=1e-12)


def test_ties_have_the_mean_recall_over_all_orders():
    uncertainty, hit = random_scores(1, 60, values=3)
    rng = np.random.default_rng(0)
    shuffled = []
    for _ in range(4000):
        order = np.lexsort((rng.random(60), -uncertainty))
        shuffled.append([hit[order][cut:].mean() for cut in (0, 13, 26, 39, 52)])
    curve = measure_rejection(uncertainty, hit, 13, "corrected").curve
    np.testing.assert_allclose(curve["recall_at_1"], np.mean(shuffled, axis=0), atol=0.02)


def test_curve_does_not_depend_on_the_order_of_queries():
    uncertainty, hit = random_scores(2, 200, values=8)
    shuffle = np.random.default_rng(0).permutation(200)
    original = measure_rejection(uncertainty, hit, 9, "published")
    shuffled = measure_rejection(uncertainty[shuffle], hit[shuffle], 9, "published")
    np.testing.assert_allclose(original.curve, shuffled.curve, atol=1e-14)


def trapezoid_area(x, y):
    return sum((b - a) * (f + g) / 2 for a, b, f, g in zip(x, x[1:], y, y[1:], strict=False))


@pytest.mark.parametrize(("queries", "step"), [(100, 10), (250, 100), (97, 4)])
def test_areas_follow_the_trapezoidal_rule(queries, step):
    uncertainty, hit = random_scores(3, queries)
    published, corrected = (
        measure_rejection(uncertainty, hit, step, protocol) for protocol in ("published", "corrected")
    )
    cuts = published.curve["n_rejected"].to_numpy()
    for name, column in (("auc", "recall_at_1"), ("oracle_auc", "oracle_recall_at_1")):
        recall = published.curve[column].to_numpy()
        assert getattr(published, name) == pytest.approx(trapezoid_area(cuts / cuts[-1], recall))
        whole = trapezoid_area(np.append(cuts, queries) / queries, np.append(recall, recall[-1]))
        assert getattr(corrected, name) == pytest.approx(whole)
    np.testing.assert_array_equal(published.curve, corrected.curve)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(
    ("uncertainty", "hit", "auc", "oracle"),
    [
        ([0.5], [True], 1.0, 1.0),
        ([0.5], [False], 0.0, 0.0),
        ([0.1, 0.2, 0.3, 0.4], [True] * 4, 1.0, 1.0),
        ([0.1, 0.2, 0.3, 0.4], [False] * 4, 0.0, 0.0),
    ],
    ids=["one hit", "one miss", "all hits", "no hits"],
)
def test_degenerate_hits_have_constant_area(uncertainty, hit, auc, oracle, protocol):
    rejection = measure_rejection(np.array(uncertainty), np.array(hit), 1, protocol)
    assert (rejection.auc, rejection.oracle_auc) == pytest.approx((auc, oracle))


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_constant_uncertainty_has_a_flat_curve(protocol):
    rejection = measure_rejection(np.full(20, 0.3), np.arange(20) < 5, 3, protocol)
    np.testing.assert_allclose(rejection.curve["recall_at_1"], 0.25)
    assert rejection.auc == pytest.approx(0.25)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_perfect_uncertainty_equals_the_oracle_and_an_inverted_one_does_not(protocol):
    hit = np.arange(40) < 25
    perfect = measure_rejection(np.where(hit, 0.1, 0.9), hit, 1, protocol)
    np.testing.assert_allclose(perfect.curve["recall_at_1"], perfect.curve["oracle_recall_at_1"])
    assert perfect.auc == pytest.approx(perfect.oracle_auc)
    assert measure_rejection(np.where(hit, 0.9, 0.1), hit, 1, protocol).auc < 0.5 * perfect.auc


def test_step_above_the_number_of_queries_gives_one_point():
    rejection = measure_rejection(*random_scores(4, 30), 500, "published")
    assert len(rejection.curve) == 1
    assert rejection.auc == rejection.curve["recall_at_1"][0]


@pytest.mark.parametrize(
    ("uncertainty", "hit", "step", "protocol", "message"),
    [
        ([], [], 1, "published", "no queries"),
        ([0.1, np.nan], [1, 0], 1, "published", "query number 1 is nan"),
        ([0.1, 0.2], [1], 1, "published", "shape"),
        ([0.1, 0.2], [1, 0], 0, "published", "is 0"),
        ([0.1, 0.2], [1, 0], 1, "ours", "'ours'"),
    ],
)
def test_invalid_input_is_rejected(uncertainty, hit, step, protocol, message):
    with pytest.raises(OvertopError, match=message):
        measure_rejection(np.array(uncertainty), np.array(hit, dtype=bool), step, protocol)
