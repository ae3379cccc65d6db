"""Where to stop answering so that what is answered is right often enough: thresholds with a guarantee.

The queries must be independent, so each image speaks through one query; and the guarantee is for queries like those of
validation, against a gallery like theirs.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import beta, binom

from overtop.errors import OvertopError
from overtop.evaluation.inputs import checked
from overtop.evaluation.metrics import HITS

STEPS = 100
"""Coverages that are tried: every hundredth."""

START = 3
"""The first test is of so many times the fewest queries that could pass; in simulations 2 and 4 certify less."""

COLUMNS = [
    "direction", "estimator", "protocol", "positives", "form", "target", "confidence", "n_validation", "n_test",
    "threshold", "validation_coverage", "coverage", "achieved", "achieved_low", "achieved_high", "met",
    "mean_set_size", "median_set_size", "share_censored",
]  # fmt: skip
"""Of the table of operating points; a form leaves missing what it does not have."""


def guaranteed_threshold(uncertainty: np.ndarray, hit: np.ndarray, precision: float, confidence: float) -> float:
    """The largest threshold for which R@1 of the queries below it is at least `precision`, as far as can be guaranteed.

    With probability `confidence` over the draw of these queries the promise holds for new ones (selection with
    guaranteed risk, Geifman and El-Yaniv 2017). A threshold is an order statistic; given it, the queries strictly below
    are independent draws, and whether their R@1 exceeds `precision` is tested by the exact binomial tail (Clopper and
    Pearson 1934).

    Thresholds are tested in fixed sequence from certain to uncertain, a hundredth of the queries at a time, each at the
    full level, since the first failure ends the sequence (Angelopoulos et al. 2021, Learn then Test). It starts where
    some misses are allowed, else an early one would end it at once. (The binary search of the 2017 paper picks its next
    test by the outcome of the last on the same queries; the union bound over the number of its steps does not cover
    that.) As thresholds move with the sample, the proof asks that R@1 does not rise with coverage where it crosses
    `precision`, which is what an uncertainty is for.

    Args:
        uncertainty: (Q,), higher is less trustworthy; independent queries.
        hit: (Q,) bool, whether the top-1 is right.
        precision: target R@1, in (0, 1).
        confidence: in (0, 1).

    Returns:
        Answer a query if its uncertainty is below this: infinity to answer all, minus infinity to answer none.

    Raises:
        OvertopError: no queries, an uncertainty that is not finite, or a probability out of range.
    """
    uncertainty, hit = checked(uncertainty, hit)
    _check_probabilities(precision=precision, confidence=confidence)
    order = np.argsort(uncertainty, kind="stable")
    rising, hits = uncertainty[order], np.append(0, np.cumsum(hit[order]))
    ranks = len(rising) * np.arange(1, STEPS) // STEPS
    thresholds = np.append(np.unique(rising[ranks]), np.inf)
    below = np.searchsorted(rising, thresholds)
    level = 1 - confidence
    passed = binom.sf(hits[below] - 1, below, precision) <= level
    fewest = np.log(level) / np.log(precision)  # would pass if all were hits
    first = int(np.searchsorted(below, min(START * fewest, len(rising))))
    failures = np.flatnonzero(~passed[first:])
    end = first + int(failures[0]) if failures.size else len(passed)
    return float(thresholds[end - 1]) if end > first else -np.inf


def exact_interval(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share; [0, 1] without trials."""
    tail = (1 - level) / 2
    low = beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def independent(scores: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The scores of one query per image and direction, drawn at random; the same queries for all estimators.

    Args:
        scores: as the `score` rule writes them.
        seed: of the draw.
    """
    queries = scores[["direction", "query_id", "image_id"]].drop_duplicates().sort_values(["direction", "query_id"])
    order = np.random.default_rng(seed).permutation(len(queries))
    drawn = queries.iloc[order].drop_duplicates(["direction", "image_id"])
    return scores.merge(drawn, on=["direction", "query_id", "image_id"])


def operating_points(
    validation: pd.DataFrame, test: pd.DataFrame, precisions: Sequence[float], confidence: float
) -> pd.DataFrame:
    """Thresholds chosen on validation, and what they do on test.

    Args:
        validation: `independent` scores of the validation split.
        test: `independent` scores of the test split, by the same posterior.
        precisions: targets for R@1; each has its own guarantee.
        confidence: of each guarantee and each interval.

    Returns:
        Columns `COLUMNS`, a row per direction, estimator, protocol, positives and target. `threshold`: answer if the
        uncertainty is below it; `coverage`: share of test queries answered; `achieved`: R@1 of those, with its exact
        interval; `met`: whether that is at least the target. If none is answered, `achieved` and `met` are missing.

    Raises:
        OvertopError: an estimator was scored on validation and not on test, an image has several queries, or a bad
            input of `guaranteed_threshold`.
    """
    names = ["direction", "estimator", "protocol"]
    ours, theirs = (dict(list(scores.groupby(names, sort=False))) for scores in (validation, test))
    rows = []
    for key, known in ours.items():
        if key not in theirs:
            raise OvertopError(f"{', '.join(key)}: scored on validation but not on test; score both splits alike")
        if known["image_id"].duplicated().any() or theirs[key]["image_id"].duplicated().any():
            raise OvertopError(f"{', '.join(key)}: an image has several queries; keep one of each (`independent`)")
        for positives, column in HITS.items():
            if known[column].isna().any() or theirs[key][column].isna().any():
                continue
            for target in precisions:
                row = _operating_point(known, theirs[key], column, target, confidence)
                rows.append(dict(zip(names, key, strict=True)) | {"positives": positives} | row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"met": "boolean"})


def _operating_point(
    known: pd.DataFrame, new: pd.DataFrame, column: str, target: float, confidence: float
) -> dict[str, object]:
    uncertainty, hit = known["uncertainty"].to_numpy(), known[column].to_numpy(dtype=bool)
    threshold = guaranteed_threshold(uncertainty, hit, target, confidence)
    answered = new.loc[new["uncertainty"] < threshold, column].to_numpy(dtype=bool)
    low, high = exact_interval(int(answered.sum()), len(answered), confidence)
    return {
        "form": "guaranteed_precision",
        "target": target,
        "confidence": confidence,
        "n_validation": len(known),
        "n_test": len(new),
        "threshold": threshold,
        "validation_coverage": float((uncertainty < threshold).mean()),
        "coverage": len(answered) / len(new),
        "achieved": answered.mean() if len(answered) else np.nan,
        "achieved_low": low,
        "achieved_high": high,
        "met": bool(answered.mean() >= target) if len(answered) else pd.NA,
    }


def _check_probabilities(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise OvertopError(f"the target {name} is {value}; give a number between 0 and 1")
