"""Thresholds on the uncertainty below which R@1 is guaranteed to reach a target.

Queries must be independent, hence one query per image. The guarantee applies to new queries from the distribution of
the validation queries, with a gallery like theirs.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom

from overtop.errors import OvertopError
from overtop.evaluation.inputs import HIT_COLUMNS, validate_scores
from overtop.evaluation.proportions import exact_interval

N_COVERAGES = 100
"""Thresholds are tested at every hundredth of coverage."""

START_FACTOR = 3
"""The first test has this multiple of the fewest queries that could pass; 2 and 4 certify less in simulations."""


def guaranteed_threshold(uncertainty: np.ndarray, hit: np.ndarray, precision: float, confidence: float) -> float:
    """Return the largest threshold below which R@1 can be guaranteed to be at least `precision`.

    With probability `confidence` over the draw of these queries, the guarantee holds for new ones (selection with
    guaranteed risk, Geifman and El-Yaniv 2017). A threshold is an order statistic; given it, the queries strictly below
    are independent draws, and whether their R@1 exceeds `precision` is tested by the exact binomial tail (Clopper and
    Pearson 1934).

    Thresholds are tested in a fixed sequence from certain to uncertain, one hundredth of the queries apart. Each test
    has the full level, because the first failure ends the sequence (Angelopoulos et al. 2021, Learn then Test). The
    sequence starts where some misses are allowed; otherwise one early miss would end it. (The binary search of the 2017
    paper chooses its next test by the result of the last on the same queries, which the union bound over its steps does
    not cover.) As the thresholds depend on the sample, the proof assumes that R@1 does not rise with coverage where it
    crosses `precision`, as is the purpose of an uncertainty.

    Args:
        uncertainty: (Q,), higher is less trustworthy; independent queries.
        hit: (Q,) bool, whether the top-1 is right.
        precision: target R@1, in (0, 1).
        confidence: in (0, 1).

    Returns:
        Answer a query if its uncertainty is below this: infinity to answer all, minus infinity to answer none.

    Raises:
        OvertopError: no queries, an uncertainty that is not finite, or a probability out of range.

    Example:
        >>> guaranteed_threshold(np.repeat([0.0, 1.0], 100), np.repeat([1, 0], 100), precision=0.9, confidence=0.95)
        1.0
    """
    uncertainty, hit = validate_scores(uncertainty, hit)
    _validate_probabilities(precision=precision, confidence=confidence)
    order = np.argsort(uncertainty, kind="stable")
    ascending, n_hits = uncertainty[order], np.append(0, np.cumsum(hit[order]))
    ranks = len(ascending) * np.arange(1, N_COVERAGES) // N_COVERAGES
    thresholds = np.append(np.unique(ascending[ranks]), np.inf)
    n_below = np.searchsorted(ascending, thresholds)
    level = 1 - confidence
    passed = binom.sf(n_hits[n_below] - 1, n_below, precision) <= level
    fewest = np.log(level) / np.log(precision)  # this many queries pass if all are hits
    first = int(np.searchsorted(n_below, min(START_FACTOR * fewest, len(ascending))))
    failures = np.flatnonzero(~passed[first:])
    end = first + int(failures[0]) if failures.size else len(passed)
    return float(thresholds[end - 1]) if end > first else -np.inf


def sample_one_query_per_image(scores: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the scores of one random query per image and direction; the same queries for all estimators.

    Args:
        scores: score table of one posterior (`estimators.scoring`).
        seed: of the random choice.
    """
    queries = scores[["direction", "query_id", "image_id"]].drop_duplicates().sort_values(["direction", "query_id"])
    order = np.random.default_rng(seed).permutation(len(queries))
    sample = queries.iloc[order].drop_duplicates(["direction", "image_id"])
    return scores.merge(sample, on=["direction", "query_id", "image_id"])


def evaluate_thresholds(
    validation: pd.DataFrame, test: pd.DataFrame, precisions: Sequence[float], confidence: float
) -> pd.DataFrame:
    """Choose thresholds on validation and measure them on test.

    Args:
        validation: scores of the validation split, one query per image (`sample_one_query_per_image`).
        test: scores of the test split by the same posterior, likewise.
        precisions: targets for R@1, each with its own guarantee.
        confidence: of each guarantee and each interval.

    Returns:
        One row per direction, estimator, protocol, positives and target, with columns of `operating.COLUMNS`.
        `threshold`: answer if the uncertainty is below it; `coverage`: share of test queries answered; `achieved`: R@1
        of those, with its exact interval; `met`: whether that is at least the target. If no query is answered,
        `achieved` and `met` are missing.

    Raises:
        OvertopError: an estimator was scored on validation but not on test, an image has several queries, or an invalid
            argument of `guaranteed_threshold`.
    """
    names = ["direction", "estimator", "protocol"]
    validation_groups, test_groups = (dict(list(scores.groupby(names, sort=False))) for scores in (validation, test))
    rows = []
    for key, val_rows in validation_groups.items():
        if key not in test_groups:
            raise OvertopError(
                f"{', '.join(key)}: scored on validation but not on test; score both splits with the same estimators"
            )
        test_rows = test_groups[key]
        if val_rows["image_id"].duplicated().any() or test_rows["image_id"].duplicated().any():
            raise OvertopError(
                f"{', '.join(key)}: an image has several queries; select one of each with `sample_one_query_per_image`"
            )
        for positives, column in HIT_COLUMNS.items():
            if val_rows[column].isna().any() or test_rows[column].isna().any():
                continue
            for target in precisions:
                row = _threshold_row(val_rows, test_rows, column, target, confidence)
                rows.append(dict(zip(names, key, strict=True)) | {"positives": positives} | row)
    return pd.DataFrame(rows)


def _threshold_row(
    validation: pd.DataFrame, test: pd.DataFrame, column: str, target: float, confidence: float
) -> dict[str, object]:
    uncertainty, hit = validation["uncertainty"].to_numpy(), validation[column].to_numpy(dtype=bool)
    threshold = guaranteed_threshold(uncertainty, hit, target, confidence)
    answered_hits = test.loc[test["uncertainty"] < threshold, column].to_numpy(dtype=bool)
    n_answered = len(answered_hits)
    low, high = exact_interval(int(answered_hits.sum()), n_answered, confidence)
    return {
        "form": "guaranteed_precision",
        "target": target,
        "confidence": confidence,
        "n_validation": len(validation),
        "n_test": len(test),
        "threshold": threshold,
        "validation_coverage": float((uncertainty < threshold).mean()),
        "coverage": n_answered / len(test),
        "achieved": answered_hits.mean() if n_answered else np.nan,
        "achieved_low": low,
        "achieved_high": high,
        "met": bool(answered_hits.mean() >= target) if n_answered else pd.NA,
    }


def _validate_probabilities(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise OvertopError(f"the target {name} is {value}; give a number between 0 and 1")
