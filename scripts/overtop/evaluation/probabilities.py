"""How honest the probabilities of a zero-shot classifier are: calibration error, proper scores, and their intervals.

A prediction of an image is the class of largest probability; its confidence is that probability, and it is a hit if
that class is one of the image's labels. ECE, the expected calibration error (Naeini et al. 2015; Guo et al. 2017, Eq.
3), cuts the images into 15 bins of confidence and is sum_b n_b / N |accuracy_b - mean confidence_b| = sum_b |sum over
the images of b of (hit - confidence)| / N; a bin without images adds nothing.

- Equal width: bin b holds the confidences in (b / 15, (b + 1) / 15]; 0 belongs to the first bin. These edges are fixed.
- Equal mass (the adaptive bins of Nguyen and O'Connor 2015): the images are ordered by confidence and cut into parts of
  N / 15; images of equal confidence are in one bin, that of the middle one of them, so bins may be uneven or empty. In
  a resample the bins are made anew, since the edges are part of what is estimated.

ECE is biased upwards: noise in a bin counts whatever its sign, and resamples have twice the noise. The symmetric
interval (`evaluation.significance`) includes that bias in its width, yet it excludes 0 for most calibrated classifiers:
compare ECE with `calibrated_ece`. docs/evaluation.md states the measured coverage.
"""

from typing import Literal

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import equal_count_bounds, sum_in_resamples
from overtop.evaluation.ordering import CumulativeCounts, SortedQueries
from overtop.evaluation.selective import aurc, auroc
from overtop.evaluation.significance import Bounds
from overtop.memory import RESAMPLE_BYTES, blocks

ECE_BINS = 15
"""Bins of both forms of ECE."""

MEASURE_BOUNDS: dict[str, Bounds] = {
    "accuracy": (0, 1),
    "confidence": (0, 1),
    "ece_width": (0, 1),
    "ece_mass": (0, 1),
    "brier": (0, 2),
    "nll": (0, np.inf),
    "auroc": (0, 1),
    "aurc": (0, 1),
}
"""The measures of `measure_probabilities` in the order of tables, and their ranges."""


def measure_probabilities(predictions: pd.DataFrame, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Measure one kind of probability of one classifier, in all images and in resamples of them.

    Args:
        predictions: one row per image, N in all. `hit`; `confidence`, the probability of the predicted class;
            `uncertainty`, its negative logarithm, by which images are ordered; `nll`, the negative log-probability of
            the label in nats; `brier`, the sum over classes of the squared difference of probability and label.
        weights: (B, N) copies of each image in B resamples (`draw_cluster_weights`); none by default.

    Returns:
        By name, each (1 + B,) with the value in all images first: `accuracy`; `confidence`, its mean; `ece_width` and
        `ece_mass`; `brier` (Brier 1950; 0 to 2) and `nll`, means, NaN where an image has not exactly one label;
        `auroc`, the probability that an error has a lower confidence than a hit (0.5 without errors or without hits);
        and `aurc`, the area under the risk-coverage curve of accepting the most confident images first.

    Raises:
        OvertopError: there are no images, or a confidence is not between 0 and 1.

    Example:
        >>> p = np.array([0.9, 0.6])
        >>> frame = pd.DataFrame({"hit": [True, False], "confidence": p, "uncertainty": -np.log(p), "nll": [0.1, 0.9],
        ...                       "brier": [0.02, 0.7]})
        >>> measure_probabilities(frame)["ece_width"].round(3).tolist()
        [0.35]
    """
    confidence, hit = predictions["confidence"].to_numpy(np.float64), predictions["hit"].to_numpy(bool)
    _check_confidence(confidence)
    n_images = len(confidence)
    everything = np.ones((1, n_images), dtype=np.uint16)
    weights = everything if weights is None else np.concatenate([everything, weights])
    of_images = [hit, confidence, predictions["brier"].to_numpy(), predictions["nll"].to_numpy()]
    sums = sum_in_resamples(of_images, np.arange(n_images), weights) / weights.sum(axis=1, dtype=np.float64)
    ordered = _measure_in_order(predictions["uncertainty"].to_numpy(np.float64), hit, hit - confidence, weights)
    found = dict(zip(("accuracy", "confidence", "brier", "nll"), sums, strict=True)) | ordered
    found["ece_width"] = _ece_of_fixed_bins(hit - confidence, equal_width_bin(confidence), weights)
    return {name: found[name] for name in MEASURE_BOUNDS}


def equal_width_bin(confidence: np.ndarray, n_bins: int = ECE_BINS) -> np.ndarray:
    """(N,) number of the bin of equal width on (0, 1] that each confidence (N,) belongs to; 0 belongs to the first."""
    return np.searchsorted(np.arange(1, n_bins) / n_bins, confidence, side="left")


def equal_mass_bin(confidence: np.ndarray, n_bins: int = ECE_BINS) -> np.ndarray:
    """(N,) number of the bin of equal mass that each confidence (N,) belongs to, from the most confident images."""
    images = SortedQueries(-confidence, np.ones(len(confidence), dtype=bool))
    [bounds] = equal_count_bounds(images.count(), n_bins)
    return np.searchsorted(bounds[1:-1], np.searchsorted(images.distinct, -confidence), side="right")


def calibrated_ece(confidence: np.ndarray, bins: Literal["width", "mass"] = "width") -> float:
    """ECE with bins of equal width or mass that a perfectly calibrated classifier with these confidences (N,) has.

    The hits of a bin then deviate from the sum of its confidences c by a random number of variance sum c (1 - c), whose
    expected size is sqrt(2 variance / pi) by the normal approximation. A measured ECE near it shows no miscalibration.

    Example:
        >>> round(calibrated_ece(np.full(1000, 0.9)), 4)
        0.0076
    """
    number = equal_width_bin(confidence) if bins == "width" else equal_mass_bin(confidence)
    variance = np.bincount(number, confidence * (1 - confidence))
    return float(np.sqrt(2 * variance / np.pi).sum() / len(confidence))


def reliability_bins(predictions: pd.DataFrame, n_bins: int = ECE_BINS) -> pd.DataFrame:
    """Return the bins of equal width of a reliability diagram.

    Args:
        predictions: one row per image, with `confidence` and `hit`.
        n_bins: number of bins.

    Returns:
        One row per bin, empty ones included: `low` and `high`, its edges; `n_images`; `confidence` and `accuracy`, the
        means over its images, NaN if it has none.
    """
    number = equal_width_bin(predictions["confidence"].to_numpy(np.float64), n_bins)
    of_bins = predictions[["confidence", "hit"]].astype(np.float64).groupby(number).mean().reindex(range(n_bins))
    edges = np.arange(n_bins + 1) / n_bins
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "n_images": np.bincount(number, minlength=n_bins),
            "confidence": of_bins["confidence"].to_numpy(),
            "accuracy": of_bins["hit"].to_numpy(),
        }
    )


def _check_confidence(confidence: np.ndarray) -> None:
    if not confidence.size:
        raise OvertopError("there are no predictions to evaluate; check that the split of the data set is not empty")
    invalid = np.flatnonzero(~((confidence >= 0) & (confidence <= 1)))
    if invalid.size:
        raise OvertopError(
            f"the confidence of image number {invalid[0]} is {confidence[invalid[0]]} ({invalid.size} such images); "
            "a probability is between 0 and 1: make the predictions again"
        )


def _ece_of_fixed_bins(gap: np.ndarray, number: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) ECE with the same bins under all weightings, from hit - confidence (N,) and the bin of each image (N,)."""
    of_bins = [np.where(number == bin_, gap, 0.0) for bin_ in np.unique(number)]
    sums = sum_in_resamples(of_bins, np.arange(len(gap)), weights)
    return abs(sums).sum(axis=0) / weights.sum(axis=1, dtype=np.float64)


def _measure_in_order(
    uncertainty: np.ndarray, hit: np.ndarray, gap: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The measures (B,) that depend on the order of the images by uncertainty: `ece_mass`, `auroc`, `aurc`."""
    images = SortedQueries(uncertainty, hit)
    parts = []
    for block in blocks(len(weights), len(hit) * np.dtype(np.float64).itemsize, RESAMPLE_BYTES):
        counts = images.count(weights[block])
        sums = images.sum_cumulatively(gap, weights[block])
        parts.append((_ece_of_equal_mass(counts, sums), auroc(counts), aurc(counts)))
    names = ("ece_mass", "auroc", "aurc")
    return {name: np.concatenate(values) for name, values in zip(names, zip(*parts, strict=True), strict=True)}


def _ece_of_equal_mass(counts: CumulativeCounts, sums: np.ndarray) -> np.ndarray:
    """(B,) ECE with bins of equal mass, from the cumulative sums (B, G + 1) of hit - confidence."""
    bounds = equal_count_bounds(counts, ECE_BINS)
    of_bins = np.diff(np.take_along_axis(sums, bounds, axis=1), axis=1)
    return abs(of_bins).sum(axis=1) / counts.total
