import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from helpers import oracles
from overtop.errors import OvertopError
from overtop.evaluation.calibration import equal_width_bins, measure_calibration

COLUMNS = ["level", "low", "high", "mean_uncertainty", "n_queries", "recall_at_1"]


def random_scores(seed, queries, values=None):
    """Return uncertainties, continuous or with few values, and hits that are less likely where they are high."""
    rng = np.random.default_rng(seed)
    uncertainty = rng.beta(2, 5, queries) if values is None else rng.integers(0, values, queries) / values
    return uncertainty, rng.random(queries) > uncertainty


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("n_bins", [1, 2, 5, 10])
@pytest.mark.parametrize("values", [None, 1, 2, 8, 10, 12, 50])
def test_equal_width_bins_equal_the_oracle(values, n_bins, protocol):
    uncertainty, hit = random_scores(n_bins, 400, values)
    if protocol == "published":
        uncertainty = 1 - np.float32(1 - uncertainty).astype(np.float64)
    calibration = measure_calibration(uncertainty, hit, n_bins, protocol=protocol)
    assert list(calibration.bins) == COLUMNS
    assert calibration.bins["level"].tolist() == list(range(len(calibration.bins)))
    expected = oracles.equal_width_bins(uncertainty.tolist(), hit.tolist(), n_bins, protocol)
    np.testing.assert_allclose(calibration.bins[COLUMNS[1:]].to_numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("binning", ["equal_width", "equal_count"])
@pytest.mark.parametrize("values", [None, 7])
def test_spearman_and_r2_equal_those_of_numpy(values, binning):
    calibration = measure_calibration(*random_scores(1, 500, values), binning=binning)
    level, recall = calibration.bins["level"].to_numpy(), calibration.bins["recall_at_1"].to_numpy()
    s = np.corrcoef(rankdata(level), rankdata(recall))[0, 1]
    fit = np.polyval(np.polyfit(level, recall, 1), level)
    r2 = 1 - ((recall - fit) ** 2).sum() / ((recall - recall.mean()) ** 2).sum()
    assert (calibration.spearman, calibration.r2, calibration.neg_sr2) == pytest.approx((s, r2, -s * r2))
    assert calibration.bins["n_queries"].sum() == 500


def test_linear_fall_has_ideal_values():
    uncertainty = np.repeat(np.arange(5) / 4, 4)
    hit = np.concatenate([[True] * (4 - i) + [False] * i for i in range(5)])
    calibration = measure_calibration(uncertainty, hit, n_bins=5)
    assert (calibration.spearman, calibration.r2, calibration.neg_sr2) == pytest.approx((-1, 1, 1))
    inverted = measure_calibration(1 - uncertainty, hit, n_bins=5)
    assert (inverted.spearman, inverted.r2, inverted.neg_sr2) == pytest.approx((1, 1, -1))


def test_levels_have_no_gaps_at_empty_bins():
    calibration = measure_calibration(np.array([0.0, 0.1, 0.95, 1.0]), np.array([1, 1, 0, 0], bool))
    assert calibration.bins["level"].tolist() == [0, 1]
    assert calibration.bins["n_queries"].tolist() == [2, 2]
    np.testing.assert_allclose(calibration.bins[["low", "high"]], [[0.0, 0.1], [0.9, 1.0]])
    assert (calibration.spearman, calibration.r2, calibration.neg_sr2) == pytest.approx((-1, 1, 1))


def test_rounding_error_does_not_move_a_value_over_an_edge():
    exact = np.arange(11) / 10
    hit = np.arange(11) < 5
    for noise in (-1e-13, 0.0, 1e-13):
        calibration = measure_calibration(np.concatenate([[0], exact[1:-1] + noise, [1]]), hit)
        assert calibration.bins["n_queries"].tolist() == [2] + [1] * 9


@pytest.mark.parametrize("n_bins", [1, 2, 3, 10, 25])
def test_published_edges_are_those_of_torch_linspace(n_bins):
    confidence = np.sort(np.random.default_rng(n_bins).normal(size=(200, 2)).astype(np.float32), axis=1)
    edges, limits = equal_width_bins(
        1 - np.float64(confidence[:, 1]), 1 - np.float64(confidence[:, 0]), n_bins, "published"
    )
    released = np.array([torch.linspace(*ends, n_bins + 1).tolist() for ends in confidence.tolist()])
    np.testing.assert_allclose(edges, 1 - released[:, ::-1], rtol=0, atol=3e-7)  # the last bit depends on the CPU
    np.testing.assert_array_equal(limits, edges[:, 1:-1])


def test_published_bins_accept_uncertainties_that_are_no_float32_confidences():
    uncertainty, hit = np.array([0.1, 0.1 + 1e-12, 0.1 + 3e-12, 7.0]), np.array([True, True, False, False])
    assert measure_calibration(uncertainty, hit, protocol="published").bins["n_queries"].tolist() == [3, 1]
    assert measure_calibration(uncertainty[:3], hit[:3], protocol="published").bins["n_queries"].sum() == 3


@pytest.mark.parametrize("queries", [10, 100, 103, 1000])
def test_equal_count_bins_without_ties_are_even(queries):
    uncertainty, hit = random_scores(2, queries)
    bins = measure_calibration(uncertainty, hit, binning="equal_count").bins
    assert len(bins) == 10
    assert bins["n_queries"].max() - bins["n_queries"].min() <= 1
    assert (bins["low"].to_numpy()[1:] > bins["high"].to_numpy()[:-1]).all()
    for i, part in enumerate(np.split(np.argsort(uncertainty), np.cumsum(bins["n_queries"])[:-1])):
        assert bins["recall_at_1"][i] == pytest.approx(hit[part].mean())
        assert bins["mean_uncertainty"][i] == pytest.approx(uncertainty[part].mean())


def test_equal_count_bins_do_not_split_ties():
    uncertainty, hit = random_scores(3, 300, values=4)
    bins = measure_calibration(uncertainty, hit, binning="equal_count").bins
    assert bins["low"].tolist() == bins["high"].tolist() == [0, 0.25, 0.5, 0.75]
    assert bins["n_queries"].tolist() == np.unique(uncertainty, return_counts=True)[1].tolist()


@pytest.mark.parametrize("binning", ["equal_width", "equal_count"])
@pytest.mark.parametrize("values", [None, 6])
def test_bins_do_not_depend_on_the_order_of_queries(binning, values):
    uncertainty, hit = random_scores(4, 200, values)
    shuffle = np.random.default_rng(0).permutation(200)
    first = measure_calibration(uncertainty, hit, binning=binning).bins
    second = measure_calibration(uncertainty[shuffle], hit[shuffle], binning=binning).bins
    np.testing.assert_allclose(first, second, atol=1e-14)


@pytest.mark.parametrize("binning", ["equal_width", "equal_count"])
@pytest.mark.parametrize(
    ("uncertainty", "hit", "n_bins", "recalls"),
    [
        ([0.3], [True], 10, [1.0]),
        ([0.3] * 4, [True, False, True, True], 10, [0.75]),
        ([0.1, 0.2, 0.3], [True, False, False], 1, [1 / 3]),
        ([0.0, 1.0], [True, True], 2, [1.0, 1.0]),
        ([0.0, 1.0], [False, False], 2, [0.0, 0.0]),
    ],
    ids=["one query", "constant", "one bin", "all hits", "no hits"],
)
def test_undefined_correlation_gives_nan(uncertainty, hit, n_bins, recalls, binning):
    calibration = measure_calibration(np.array(uncertainty), np.array(hit), n_bins, binning)
    assert calibration.bins["recall_at_1"].tolist() == pytest.approx(recalls)
    assert np.isnan([calibration.spearman, calibration.r2, calibration.neg_sr2]).all()
    assert not calibration.defined


@pytest.mark.parametrize("binning", ["equal_width", "equal_count"])
def test_two_bins_have_a_perfect_correlation(binning):
    calibration = measure_calibration(np.array([0.1, 0.9]), np.array([True, False]), binning=binning)
    assert (calibration.spearman, calibration.r2, calibration.neg_sr2) == pytest.approx((-1, 1, 1))


@pytest.mark.parametrize(
    ("uncertainty", "hit", "options", "message"),
    [
        ([], [], {}, "no queries"),
        ([0.1, np.nan, np.nan], [1, 0, 1], {}, r"query number 1 is nan \(2 such"),
        ([0.1, np.inf], [1, 0], {}, "query number 1 is inf"),
        ([0.1, 0.2], [1], {}, r"\(2,\) and hit \(1,\)"),
        ([[0.1], [0.2]], [[1], [0]], {}, "flat arrays"),
        ([0.1, 0.2], [1, 0], {"n_bins": 0}, "n_bins is 0"),
        ([0.1, 0.2], [1, 0], {"binning": "equal"}, "'equal'; use equal_width or equal_count"),
    ],
)
def test_invalid_input_is_rejected(uncertainty, hit, options, message):
    with pytest.raises(OvertopError, match=message):
        measure_calibration(np.array(uncertainty), np.array(hit, dtype=bool), **options)
