import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from overtop.errors import OvertopError
from overtop.evaluation import probabilities
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.probabilities import (
    ECE_BINS,
    MEASURE_BOUNDS,
    calibrated_ece,
    equal_width_bin,
    measure_probabilities,
    reliability_bins,
)
from overtop.evaluation.selective import measure_auroc_and_aurc


def make_predictions(n_images, seed=0, values=None, classes=5):
    """Return predictions of a random classifier, its probabilities (N, C) and labels (N,)."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.4), n_images)
    if values is not None:  # few distinct confidences
        p = np.round(p * values).astype(int) / values
        p[:, 0] += 1 - p.sum(axis=1)
        p = np.abs(p) / np.abs(p).sum(axis=1, keepdims=True)
    p = np.clip(p, 1e-6, None)
    p /= p.sum(axis=1, keepdims=True)
    label = np.array([rng.choice(classes, p=0.7 * row + 0.3 / classes) for row in p])
    confidence = p.max(axis=1)
    frame = pd.DataFrame(
        {
            "hit": p.argmax(axis=1) == label,
            "confidence": confidence,
            "uncertainty": -np.log(confidence),
            "nll": -np.log(p[np.arange(n_images), label]),
            "brier": ((p - np.eye(classes)[label]) ** 2).sum(axis=1),
        }
    )
    return frame, p, label


def ece_width(confidence, hit):
    total = 0.0
    for b in range(ECE_BINS):
        inside = [i for i, c in enumerate(confidence) if b / ECE_BINS < c <= (b + 1) / ECE_BINS or (b == 0 and c == 0)]
        if inside:
            accuracy = sum(hit[i] for i in inside) / len(inside)
            mean = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(hit) * abs(accuracy - mean)
    return total


def ece_mass(confidence, hit):
    """Images by falling confidence; a group of equal ones is in the bin that contains its middle, edges downwards."""
    n, bins = len(hit), {}
    for value in set(confidence):
        above = sum(c > value for c in confidence)
        group = [i for i, c in enumerate(confidence) if c == value]
        twice_middle = 2 * above + len(group)
        bins.setdefault(twice_middle * ECE_BINS // (2 * n), []).extend(group)
    gaps = (abs(sum(float(hit[i]) - confidence[i] for i in members)) for members in bins.values())
    return sum(gaps) / n


@pytest.mark.parametrize(("n_images", "values"), [(1, None), (2, None), (14, None), (97, None), (120, 7), (60, 1)])
def test_measures_of_all_images_equal_their_definitions(n_images, values):
    frame, p, label = make_predictions(n_images, values=values)
    measures = measure_probabilities(frame)
    assert list(measures) == list(MEASURE_BOUNDS)
    assert all(value.shape == (1,) for value in measures.values())
    hit, confidence = frame["hit"].tolist(), frame["confidence"].tolist()
    np.testing.assert_allclose(measures["accuracy"], np.mean(hit))
    np.testing.assert_allclose(measures["confidence"], np.mean(confidence))
    np.testing.assert_allclose(measures["ece_width"], ece_width(confidence, hit), atol=1e-14)
    np.testing.assert_allclose(measures["ece_mass"], ece_mass(confidence, hit), atol=1e-14)
    classes = range(p.shape[1])
    np.testing.assert_allclose(measures["nll"], log_loss(label, p, labels=classes))
    one_vs_rest = [brier_score_loss(label == k, p[:, k], labels=[False, True], pos_label=True) for k in classes]
    np.testing.assert_allclose(measures["brier"], sum(one_vs_rest))
    if 0 < sum(hit) < n_images:
        np.testing.assert_allclose(measures["auroc"], roc_auc_score(~frame["hit"], -frame["confidence"]))


def test_resamples_have_the_measures_of_the_repeated_images(monkeypatch):
    monkeypatch.setattr(probabilities, "RESAMPLE_BYTES", 3 * 8 * 60)  # several blocks
    frame, _, _ = make_predictions(60, seed=1, values=9)
    frame = frame.assign(uncertainty=-np.log(frame["confidence"]))
    weights = np.vstack([draw_cluster_weights(60, 10, seed=1), [60] + [0] * 59]).astype(np.uint16)
    measures = measure_probabilities(frame, weights)
    for number, row in enumerate(weights, start=1):
        repeated = frame.loc[np.repeat(np.arange(60), row)].reset_index(drop=True)
        hit, confidence = repeated["hit"].to_numpy(), repeated["confidence"].to_numpy()
        expected = {
            "accuracy": hit.mean(),
            "confidence": confidence.mean(),
            "ece_width": ece_width(confidence, hit),
            "ece_mass": ece_mass(confidence, hit),
            "brier": repeated["brier"].mean(),
            "nll": repeated["nll"].mean(),
            **measure_auroc_and_aurc(repeated["uncertainty"].to_numpy(), hit),
        }
        for name, value in expected.items():
            assert measures[name][number] == pytest.approx(value, abs=1e-12), name


def test_confidences_on_an_edge_belong_to_the_lower_bin():
    edges = np.arange(ECE_BINS + 1) / ECE_BINS
    np.testing.assert_array_equal(equal_width_bin(edges), [0, *range(ECE_BINS)])
    np.testing.assert_array_equal(equal_width_bin(np.nextafter(edges[:-1], 1)), range(ECE_BINS))


@pytest.mark.parametrize(
    ("confidence", "hit", "ece"),
    [
        ([1.0] * 4, [1] * 4, 0.0),
        ([1.0] * 4, [0] * 4, 1.0),
        ([0.5] * 4, [1, 1, 0, 0], 0.0),
        ([0.99, 0.01], [0, 0], 0.5),
        ([0.95, 0.95, 0.99, 0.99], [1, 1, 0, 0], 0.47),
    ],
)
def test_ece_of_known_cases(confidence, hit, ece):
    confidence = np.array(confidence)
    frame = pd.DataFrame(
        {"hit": np.array(hit, bool), "confidence": confidence, "uncertainty": -np.log(confidence), "nll": 0, "brier": 0}
    )
    assert measure_probabilities(frame)["ece_width"][0] == pytest.approx(ece)


def test_equal_mass_sees_what_cancels_in_a_bin_of_equal_width():
    """Four images in one bin of equal width, in which errors of both signs cancel."""
    frame = pd.DataFrame(
        {"hit": [True, True, False, False], "confidence": [0.95, 0.951, 0.99, 0.991], "nll": 0, "brier": 0}
    )
    measures = measure_probabilities(frame.assign(uncertainty=-np.log(frame["confidence"])))
    assert measures["ece_width"][0] == pytest.approx(abs(0.5 - frame["confidence"].mean()))
    assert measures["ece_mass"][0] == pytest.approx((0.05 + 0.049 + 0.99 + 0.991) / 4)


def test_images_with_several_labels_have_no_proper_scores():
    frame, _, _ = make_predictions(20)
    frame.loc[3, ["nll", "brier"]] = np.nan
    measures = measure_probabilities(frame, draw_cluster_weights(20, 5, seed=0))
    assert np.isnan(measures["nll"]).all()
    assert np.isnan(measures["brier"]).all()
    assert np.isfinite(measures["ece_width"]).all()


def test_calibrated_ece_is_the_mean_over_simulated_hits():
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0.2, 1, 600)
    of_bins = [np.flatnonzero(equal_width_bin(confidence) == b) for b in range(ECE_BINS)]
    hits = rng.random((2000, 600)) < confidence
    gaps = [abs((hits[:, members] - confidence[members]).sum(axis=1)) for members in of_bins]
    assert calibrated_ece(confidence) == pytest.approx(np.mean(sum(gaps) / 600), rel=0.02)
    assert calibrated_ece(np.ones(5)) == 0


def test_reliability_bins_agree_with_scikit_learn_and_give_the_ece():
    frame, _, _ = make_predictions(500, seed=2)
    bins = reliability_bins(frame)
    assert len(bins) == ECE_BINS
    accuracy, confidence = calibration_curve(frame["hit"], frame["confidence"], n_bins=ECE_BINS)
    filled = bins[bins["n_images"] > 0]
    assert 0 < len(filled) < ECE_BINS  # no confidence is below one fifth
    np.testing.assert_allclose(filled["accuracy"], accuracy)
    np.testing.assert_allclose(filled["confidence"], confidence)
    gaps = (filled["accuracy"] - filled["confidence"]).abs()
    assert np.average(gaps, weights=filled["n_images"]) == pytest.approx(measure_probabilities(frame)["ece_width"][0])
    assert bins[bins["n_images"] == 0][["accuracy", "confidence"]].isna().all(axis=None)


def test_invalid_predictions_are_errors():
    frame, _, _ = make_predictions(3)
    with pytest.raises(OvertopError, match="no predictions"):
        measure_probabilities(frame.iloc[:0])
    for value in (1.5, -0.1, np.nan):
        with pytest.raises(OvertopError, match="image number 1 is"):
            measure_probabilities(frame.assign(confidence=[0.5, value, 0.5]))
