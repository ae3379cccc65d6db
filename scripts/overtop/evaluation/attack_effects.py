"""The sign test: does an attack raise or lower each uncertainty, and does it still tell right from wrong?

The same images are scored as they are and as they were attacked, so that the difference is paired. An attack that
lowers an uncertainty makes a wrong answer look more certain than the right one did.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from overtop.evaluation.bootstrap import count_resamples, sum_in_resamples
from overtop.evaluation.ordering import CumulativeCounts, SortedQueries
from overtop.evaluation.scored_views import ALL, RIGHT_BEFORE, ScoredView
from overtop.evaluation.selective import auroc
from overtop.evaluation.significance import UNBOUNDED, Bounds, adjust_holm, symmetric_interval
from overtop.terms import CLEAN

RAISES, LOWERS, UNDECIDED = "raises", "lowers", "not distinguishable"
"""Verdicts on an uncertainty."""

MIN_IMAGES = 20
"""Sets of fewer images are not tested: the mean of so few differences need not be close to normal."""

_INTERVALS = ["difference", "auroc_clean", "auroc_attacked", "auroc_difference"]

COLUMNS = [
    "dataset", "model", "attack", "estimator", "images", "n_seeds", "n_images", "n_pairs", "clean_mean",
    "attacked_mean", "clean_sd", "share_raised", *(name + end for name in _INTERVALS for end in ("", "_low", "_high")),
    "p_value", "p_holm", "verdict",
]  # fmt: skip
"""Columns of the table of effects; `measure_effects` leaves `dataset`, `model`, `p_holm` and `verdict` to callers."""


@dataclass(frozen=True)
class _Mean:
    """A measure: its value, and its values (B,) in the resamples."""

    value: float
    draws: np.ndarray

    def __sub__(self, other: "_Mean") -> "_Mean":
        return _Mean(self.value - other.value, self.draws - other.draws)


def measure_effects(
    views: Mapping[str, ScoredView], weights: np.ndarray, level: float, threads: int = 1
) -> pd.DataFrame:
    """Measure what every attack does to every uncertainty of one model on one data set.

    Args:
        views: the clean view under `CLEAN`, and one per attack, with the same images in the same order.
        weights: (B, n) from `draw_cluster_weights`: how often every image is drawn in each resample.
        level: of the intervals.
        threads: number of threads; the result does not depend on it.

    Returns:
        A row per attack, estimator and set of images (`ALL`, `RIGHT_BEFORE`) with the columns `COLUMNS` as far as they
        are known here. A pair is an image with one of the encoders: `n_pairs` of `n_images` images are in the set.
        `difference` is the mean over pairs of attacked minus clean uncertainty, and `p_value` tests that it is zero
        (`mean_p_value`; missing for fewer than `MIN_IMAGES` images). `clean_sd` is the standard deviation of the clean
        uncertainty over images, a unit that makes estimators comparable. `share_raised` is the share of pairs whose
        uncertainty is higher under attack. AUROC is the probability that a wrong answer is more uncertain than a right
        one, the mean over encoders; missing where an encoder has no right or no wrong answers, as in the clean view of
        `RIGHT_BEFORE`. A set without images has missing values.
    """
    clean = views[CLEAN]
    all_images = np.ones_like(clean.hit)
    sets = {ALL: all_images, RIGHT_BEFORE: clean.hit}
    estimators = [name for name in clean.uncertainty if all(name in view.uncertainty for view in views.values())]

    def measure(estimator: str) -> list[dict[str, Any]]:
        rows = []
        for images, chosen in sets.items():
            before = _mean_auroc(clean, estimator, chosen, weights)
            for attack, attacked in views.items():
                if attack != CLEAN:
                    row = {"attack": attack, "estimator": estimator, "images": images}
                    rows.append(row | _effect_row(clean, attacked, estimator, chosen, before, weights, level))
        return rows

    with ThreadPoolExecutor(threads) as pool:
        rows = [row for of_estimator in pool.map(measure, estimators) for row in of_estimator]
    return pd.DataFrame(rows)


def mean_p_value(sums: np.ndarray, counts: np.ndarray) -> float:
    """Two-sided p-value of the hypothesis that the mean over pairs is zero, where images are independent.

    A t-test of the ratio of `sums` to `counts`, clustered by image (Cochran 1977, Sec. 6.3). Unlike the share of
    bootstrap draws it can be far below 1 / (B + 1), as Holm's adjustment for the hundreds of tests of a study needs.

    Args:
        sums: (n,) sum over the pairs of each image.
        counts: (n,) number of pairs of each image.

    Returns:
        The p-value; NaN if fewer than two images have pairs. 1 if all pairs are zero, and 0 if all are equal otherwise.

    Example:
        >>> round(mean_p_value(np.array([0.1, 0.3, 0.2]), np.ones(3)), 3)
        0.074
    """
    n_images, total = np.count_nonzero(counts), counts.sum()
    if n_images < 2:
        return np.nan
    mean = sums.sum() / total
    squares = np.square(sums - mean * counts).sum()
    error = np.sqrt(squares * n_images / (n_images - 1)) / total
    if mean == 0:
        return 1.0
    return float(2 * student_t.sf(abs(mean) / error, n_images - 1)) if error > 0 else 0.0


def add_verdicts(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Fill in `p_holm`, adjusted for all rows of a study, and `verdict`, and put the columns in order.

    The verdict is `RAISES` or `LOWERS` where `p_holm` is below 1 - `level`, otherwise `UNDECIDED`.
    """
    p_holm = adjust_holm(table["p_value"].to_numpy(dtype=np.float64))
    decided = p_holm < round(1 - level, 12)  # 0.05, not a bit more
    direction = np.where(table["difference"] > 0, RAISES, LOWERS)
    return table.assign(p_holm=p_holm, verdict=np.where(decided, direction, UNDECIDED))[COLUMNS]


def _effect_row(
    clean: ScoredView,
    attacked: ScoredView,
    estimator: str,
    chosen: np.ndarray,
    auroc_clean: _Mean,
    weights: np.ndarray,
    level: float,
) -> dict[str, Any]:
    """Columns of one attack and estimator over the `chosen` (S, n) pairs."""
    before, after = clean.uncertainty[estimator], attacked.uncertainty[estimator]
    n_pairs = int(chosen.sum())
    sums, counts = np.where(chosen, after - before, 0.0).sum(axis=0), chosen.sum(axis=0, dtype=np.float64)
    auroc_attacked = _mean_auroc(attacked, estimator, chosen, weights)
    measures: dict[str, tuple[_Mean, Bounds]] = {
        "difference": (_ratio(sums, counts, weights), UNBOUNDED),
        "auroc_clean": (auroc_clean, (0, 1)),
        "auroc_attacked": (auroc_attacked, (0, 1)),
        "auroc_difference": (auroc_attacked - auroc_clean, (-1, 1)),
    }
    row = {
        "n_seeds": len(chosen),
        "n_images": int(chosen.any(axis=0).sum()),
        "n_pairs": n_pairs,
        "clean_mean": before[chosen].mean() if n_pairs else np.nan,
        "attacked_mean": after[chosen].mean() if n_pairs else np.nan,
        "clean_sd": before.std(axis=1).mean(),
        "share_raised": (after > before)[chosen].mean() if n_pairs else np.nan,
        "p_value": mean_p_value(sums, counts) if np.count_nonzero(counts) >= MIN_IMAGES else np.nan,
    }
    for name, (measure, bounds) in measures.items():
        low, high = symmetric_interval(measure.value, measure.draws, level, bounds)
        row |= {name: measure.value, f"{name}_low": low, f"{name}_high": high}
    return row


def _ratio(sums: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> _Mean:
    """Mean over the pairs of all images, and in the resamples; NaN without pairs."""
    drawn_sums, drawn_counts = sum_in_resamples([sums, counts], np.arange(len(sums)), weights)
    draws = np.divide(drawn_sums, drawn_counts, out=np.full(len(weights), np.nan), where=drawn_counts > 0)
    return _Mean(sums.sum() / counts.sum() if counts.any() else np.nan, draws)


def _mean_auroc(view: ScoredView, estimator: str, chosen: np.ndarray, weights: np.ndarray) -> _Mean:
    """AUROC of the chosen images, the mean over encoders; NaN where one of them has no right or no wrong answers."""
    values, draws = [], []
    for uncertainty, hit, rows in zip(view.uncertainty[estimator], view.hit, chosen, strict=True):
        if not 0 < hit[rows].sum() < rows.sum():
            return _Mean(np.nan, np.full(len(weights), np.nan))
        queries = SortedQueries(uncertainty[rows], hit[rows], np.flatnonzero(rows))
        values.append(_defined_auroc(queries.count()))
        draws.append(np.concatenate([_defined_auroc(counts) for counts in count_resamples(queries, weights)]))
    return _Mean(float(np.mean(values)), np.mean(draws, axis=0))


def _defined_auroc(counts: CumulativeCounts) -> np.ndarray:
    """(B,) AUROC; NaN without right or without wrong answers."""
    is_defined = (counts.total_misses > 0) & (counts.total_misses < counts.total)
    return np.where(is_defined, auroc(counts), np.nan)
