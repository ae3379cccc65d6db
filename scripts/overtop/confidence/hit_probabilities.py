"""How honest the probability of a hit is: calibration error, proper scores and reliability bins, with intervals.

A confidence model gives each query one probability, that its top-1 is right. The measures are those of
`evaluation.probabilities` with hit and miss as the two classes; the Brier score is here the squared difference of
probability and hit, from 0 to 1. Queries must be independent, hence one per image.
"""

import numpy as np
import pandas as pd

from overtop.confidence.mappings import negative_log_likelihood
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.probabilities import calibrated_ece, equal_mass_bin, measure_probabilities
from overtop.evaluation.proportions import exact_interval
from overtop.evaluation.significance import Bounds, symmetric_interval

MEASURE_BOUNDS: dict[str, Bounds] = {
    "accuracy": (0, 1),
    "p_right": (0, 1),
    "overconfidence": (-1, 1),
    "ece": (0, 1),
    "brier": (0, 1),
    "nll": (0, np.inf),
    "auroc": (0, 1),
}
"""The measures of `measure_hit_probabilities` in the order of tables, and their ranges."""

DIAGRAM_BINS = 10
"""Bins of equal count of a reliability diagram: fewer than for the ECE, so that each has enough queries to be read."""

COVERAGE_STEPS = 20
"""Steps of the probability at which `coverage_curve` is evaluated."""


def hit_predictions(p_right: np.ndarray, hit: np.ndarray) -> pd.DataFrame:
    """Return the probabilities of independent queries as a table for the functions of this module.

    Args:
        p_right: (Q,) probability that the top-1 is right.
        hit: (Q,) bool, whether it is.

    Returns:
        Columns `hit`, `confidence`, `uncertainty`, `nll`, `brier`, as `measure_probabilities` takes them.

    Raises:
        OvertopError: no queries, or a probability that is not finite.
    """
    p_right, hit = validate_scores(p_right, hit)
    return pd.DataFrame(
        {
            "hit": hit,
            "confidence": p_right,
            "uncertainty": -p_right,
            "nll": negative_log_likelihood(p_right, hit),
            "brier": np.square(p_right - hit),
        }
    )


def measure_hit_probabilities(predictions: pd.DataFrame, weights: np.ndarray, level: float) -> dict[str, float]:
    """Measure the probabilities of independent queries.

    Args:
        predictions: from `hit_predictions`.
        weights: (B, Q) copies of each query in B resamples (`bootstrap.draw_cluster_weights`).
        level: of the intervals.

    Returns:
        For each measure its value, and the ends of its symmetric interval with the suffixes `_low` and `_high`:
        `accuracy`, the share of hits; `p_right`, the mean probability; `overconfidence`, the latter minus the former;
        `ece`, the expected calibration error in `ECE_BINS` bins of equal count (queries of equal probability are in one
        bin); `brier`; `nll` in nats; `auroc`, the chance that a miss has a lower probability than a hit. Also
        `ece_calibrated`, the mean ECE of a perfectly calibrated model with the same probabilities.

    Raises:
        OvertopError: a probability is not between 0 and 1.

    Example:
        >>> p = np.array([0.9, 0.6])
        >>> weights = np.ones((100, 2), dtype=np.uint16)
        >>> measured = measure_hit_probabilities(hit_predictions(p, np.array([1, 0])), weights, 0.95)
        >>> round(measured["overconfidence"], 2), round(measured["brier"], 3)
        (0.25, 0.185)
    """
    measured = measure_probabilities(predictions, weights)
    values = measured | {
        "p_right": measured["confidence"],
        "overconfidence": measured["confidence"] - measured["accuracy"],
        "ece": measured["ece_mass"],
    }
    row: dict[str, float] = {}
    for name, bounds in MEASURE_BOUNDS.items():
        low, high = symmetric_interval(values[name][0], values[name][1:], level, bounds)
        row |= {name: float(values[name][0]), f"{name}_low": float(low), f"{name}_high": float(high)}
    return row | {"ece_calibrated": calibrated_ece(predictions["confidence"].to_numpy(), "mass")}


def reliability_bins(predictions: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return the points of a reliability diagram: `DIAGRAM_BINS` bins of equal count, of which ties may leave fewer.

    Args:
        predictions: from `hit_predictions`.
        level: of the exact intervals.

    Returns:
        One row per bin, certain queries first: `bin`, its number; `n_queries`; `p_low`, `p_high` and `p_right`, the
        smallest, largest and mean probability; `accuracy` with its ends `accuracy_low` and `accuracy_high`.
    """
    p_right, hit = (predictions[name].to_numpy() for name in ("confidence", "hit"))
    number = equal_mass_bin(p_right, DIAGRAM_BINS)
    rows = []
    for bin_ in np.unique(number):
        inside = number == bin_
        n, hits = int(inside.sum()), int(hit[inside].sum())
        low, high = exact_interval(hits, n, level)
        of_bin = {"bin": int(bin_), "n_queries": n, "p_low": p_right[inside].min(), "p_high": p_right[inside].max()}
        means = {"p_right": p_right[inside].mean(), "accuracy": hits / n, "accuracy_low": low, "accuracy_high": high}
        rows.append(of_bin | means)
    return pd.DataFrame(rows)


def coverage_curve(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the share of queries with at least a given probability.

    Args:
        predictions: from `hit_predictions`.

    Returns:
        Columns `p_right`, from 0 to 1 in `COVERAGE_STEPS` steps, and `coverage`.
    """
    p_right = np.arange(COVERAGE_STEPS + 1) / COVERAGE_STEPS
    below = np.searchsorted(np.sort(predictions["confidence"].to_numpy()), p_right)
    return pd.DataFrame({"p_right": p_right, "coverage": 1 - below / len(predictions)})
