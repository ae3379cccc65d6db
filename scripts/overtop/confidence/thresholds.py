"""Thresholds on the uncertainty below which R@1 is guaranteed to reach a target.

The candidates T_j are the order statistics of the uncertainty at every hundredth of the n queries, and infinity. The
hypothesis H_j, that R@1 of new queries below T_j is less than the target, is tested by the exact binomial tail of the
hits among the n_j queries below T_j (Clopper and Pearson 1934). All tests share the level alpha = 1 - confidence by the
fallback procedure (Wiens 2003, doi:10.1002/pst.64): in order of coverage, each H_j has its share w_j of alpha, fixed by
the numbers of queries alone, plus the level of the H before it if that was rejected. Most shares are 0: the others
start the sequence anew where it was ended by a test that was not rejected. With one start this is the fixed sequence of
Learn then Test (Angelopoulos et al. 2021, arXiv:2110.01052). The largest T_j whose H_j is rejected is returned.

The probability to reject any true H_j is at most alpha. Proof for uncertainties without ties: cut the line where R@1 of
the queries below, as a function of the threshold, crosses the target, and condition on the number of queries in each
piece. These numbers decide which H_j are true. As R@1 equals the target at both ends of a piece, the hits of a whole
piece are binomial with the target as probability; those of the piece that T_j cuts are, given T_j, independent with a
smaller mean if H_j is true. So the p-values of the true H_j are valid, and the hypotheses are as good as fixed. If H_j
is the first true hypothesis to be rejected, then the true one before it, H_b, was not, so the level of H_j was at most
alpha (w_(b+1) + ... + w_j). Summed over the true hypotheses this is at most alpha. R@1 need not fall with coverage: if
the most certain queries are often wrong, the first sequence ends there and a later start takes over.

With ties a threshold is between two levels, and R@1 may cross the target within one. The proof then conditions on the
number of queries below the first crossing, with a tie cut at random, and on all uncertainties above it; it assumes that
no level above the crossing has a precision above the target, and that there is no crossing from below. Without this
assumption, few levels are the same thresholds in every sample, hence fixed hypotheses with valid p-values, but the
thresholds that get the shares depend on the sample. Simulations (`tests/bench/threshold_simulation.py`) found no case
above alpha.

(The binary search of Geifman and El-Yaniv 2017 chooses its next test by the result of the last on the same queries,
which the union bound over its steps does not cover.)

Queries must be independent, hence one query per image. The guarantee applies to new queries from the distribution of
the validation queries, with a gallery like theirs.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import binom

from overtop.errors import OvertopError
from overtop.evaluation.inputs import HIT_COLUMNS, validate_scores
from overtop.evaluation.proportions import exact_interval
from overtop.seeds import derive_seed

Role = Literal["val", "test"]
"""Of queries: those that something is fitted on, or those that it is measured on."""

N_COVERAGES = 100
"""Thresholds are tested at every hundredth of coverage."""

START_FACTOR = 3
"""The first test has this multiple of the fewest queries that could pass: some misses must be allowed, otherwise one
early miss would end the sequence."""

START_RATIO = 2
"""Each further start has this multiple of the queries of the start before it."""

SHARE_RATIO = 0.5
"""Each further start has this multiple of the share of the start before it."""

ALL_QUERIES_SHARE = 0.2
"""Share of the last start, which tests all queries."""


def guaranteed_threshold(uncertainty: np.ndarray, hit: np.ndarray, precision: float, confidence: float) -> float:
    """Return the largest threshold below which R@1 can be guaranteed to be at least `precision`.

    With probability `confidence` over the draw of these queries, the guarantee holds for new ones (selection with
    guaranteed risk, Geifman and El-Yaniv 2017). The module's docstring has the tests and the proof.

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
    starts, shares = sequence_starts(len(hit), precision, 1 - confidence)
    return largest_passing_threshold(uncertainty, hit, precision, 1 - confidence, starts, shares)


def sequence_starts(n: int, precision: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where sequences of tests start: numbers of queries (S,), increasing up to `n`, and shares (S,) of `level`.

    The constants were chosen by simulation (`tests/bench/threshold_simulation.py`); the result hardly depends on them.
    """
    fewest = np.log(level) / np.log(precision)  # this many queries pass if all are hits
    n_before_all = max(0, int(np.ceil(np.log(n / (START_FACTOR * fewest)) / np.log(START_RATIO))))
    number = np.arange(n_before_all)
    shares = SHARE_RATIO**number
    if not n_before_all:
        return np.array([n]), np.ones(1)
    shares *= (1 - ALL_QUERIES_SHARE) / shares.sum()
    return np.append(START_FACTOR * fewest * START_RATIO**number, n), np.append(shares, ALL_QUERIES_SHARE)


def fewest_queries(precision: float, confidence: float) -> int:
    """Return the number of labelled queries below which no precision can be guaranteed, even if all of them are hits.

    Example:
        >>> fewest_queries(0.9, confidence=0.95)
        29
    """
    _validate_probabilities(precision=precision, confidence=confidence)
    return int(np.ceil(np.log(1 - confidence) / np.log(precision) - 1e-9))


def largest_passing_threshold(
    uncertainty: np.ndarray, hit: np.ndarray, precision: float, level: float, starts: np.ndarray, shares: np.ndarray
) -> float:
    """Return the largest threshold that passes its test in the fallback procedure, or minus infinity.

    Args:
        uncertainty: (Q,).
        hit: (Q,) bool.
        precision: target R@1.
        level: probability of passing any threshold whose R@1 is below `precision`.
        starts: (S,) increasing; each share is given to the first threshold with at least this many queries below.
        shares: (S,) of `level`; at most 1 together.
    """
    order = np.argsort(uncertainty, kind="stable")
    ascending, n_hits = uncertainty[order], np.append(0, np.cumsum(hit[order]))
    ranks = len(ascending) * np.arange(1, N_COVERAGES) // N_COVERAGES
    thresholds = np.append(np.unique(ascending[ranks]), np.inf)
    n_below = np.searchsorted(ascending, thresholds)
    share = np.bincount(np.searchsorted(n_below, starts), weights=shares, minlength=len(thresholds))
    p_values = binom.sf(n_hits[n_below] - 1, n_below, precision)
    largest, current_level = -np.inf, 0.0
    for threshold, p_value, own_level in zip(thresholds, p_values, level * share, strict=True):
        current_level += own_level
        if 0 < current_level >= p_value:
            largest = threshold
        else:
            current_level = 0.0
    return float(largest)


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


def sample_independent_queries(scores: pd.DataFrame, seed: int, role: Role) -> pd.DataFrame:
    """Return the scores of the queries that operating points, confidence models and transfer studies all use.

    Args:
        scores: as in `sample_one_query_per_image`, with both directions.
        seed: of the run.
        role: of the queries.
    """
    return sample_one_query_per_image(scores, derive_seed(seed, "operate", role))


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


def measure_threshold(
    threshold: float, target: float, uncertainty: np.ndarray, hit: np.ndarray, confidence: float
) -> dict[str, object]:
    """Measure what answering the queries below a threshold achieves.

    Args:
        threshold: answer a query if its uncertainty is below it.
        target: R@1 that the threshold was chosen for.
        uncertainty: (Q,) of independent queries.
        hit: (Q,) bool.
        confidence: of the exact interval.

    Returns:
        `coverage`, `achieved`, `achieved_low`, `achieved_high` and `met`, as in `evaluate_thresholds`.
    """
    answered_hits = hit[uncertainty < threshold]
    n_answered = len(answered_hits)
    low, high = exact_interval(int(answered_hits.sum()), n_answered, confidence)
    return {
        "coverage": n_answered / len(hit),
        "achieved": answered_hits.mean() if n_answered else np.nan,
        "achieved_low": low,
        "achieved_high": high,
        "met": bool(answered_hits.mean() >= target) if n_answered else pd.NA,
    }


def _threshold_row(
    validation: pd.DataFrame, test: pd.DataFrame, column: str, target: float, confidence: float
) -> dict[str, object]:
    uncertainty, hit = validation["uncertainty"].to_numpy(), validation[column].to_numpy(dtype=bool)
    threshold = guaranteed_threshold(uncertainty, hit, target, confidence)
    test_uncertainty, test_hit = test["uncertainty"].to_numpy(), test[column].to_numpy(dtype=bool)
    return {
        "form": "guaranteed_precision",
        "target": target,
        "confidence": confidence,
        "n_validation": len(validation),
        "n_test": len(test),
        "threshold": threshold,
        "validation_coverage": float((uncertainty < threshold).mean()),
        **measure_threshold(threshold, target, test_uncertainty, test_hit, confidence),
    }


def _validate_probabilities(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise OvertopError(f"the target {name} is {value}; give a number between 0 and 1")
