"""Selective prediction: how well an uncertainty separates hits from misses when only the most certain are answered."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from overtop.errors import OvertopError
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.ordering import CumulativeCounts, SortedQueries

PRECISION_TOLERANCE = 1e-12
"""How far R@1 may be below the target precision and still reach it, to allow for rounding."""


@dataclass(frozen=True)
class SelectiveMeasures:
    """Measures of selective prediction with the loss 1 for a miss and 0 for a hit.

    Where a measure is not defined, it has the value of an uninformative uncertainty.

    Attributes:
        aurc: area under the risk-coverage curve: the mean over k = 1, ..., Q of the share of misses among the k most
            certain queries, in expectation over all orders of ties; smaller is better (Geifman and El-Yaniv 2017).
        eaurc: `aurc` minus the AURC of an order with all hits first; ideal 0 (Geifman et al. 2019).
        augrc: area under the generalised risk-coverage curve by the trapezoidal rule over coverage in [0, 1]: the mean
            share of all queries that are answered and miss; smaller is better (Traub et al. 2024).
        auroc: probability that a miss is more uncertain than a hit, where ties count half; ideal 1; 0.5 without hits
            or without misses.
        aupr: average precision of detecting misses by high uncertainty, where ties are taken together; ideal 1; the
            share of misses for an uninformative uncertainty, hence 0 without misses.
        coverage: the largest share of queries, the most certain first and ties together, whose R@1 is at least the
            target precision; 0 if there is none.
    """

    aurc: float
    eaurc: float
    augrc: float
    auroc: float
    aupr: float
    coverage: float


def measure_selective_prediction(uncertainty: np.ndarray, hit: np.ndarray, precision: float) -> SelectiveMeasures:
    """Measure the selective prediction of one uncertainty.

    Args:
        uncertainty: (Q,), higher is less trustworthy.
        hit: (Q,) bool, whether the top-1 is right.
        precision: R@1 at which the coverage is measured, in (0, 1].

    Raises:
        OvertopError: no queries, shapes that differ, an uncertainty that is not finite, or a precision out of range.

    Example:
        >>> measure_selective_prediction(np.array([0.1, 0.2, 0.8, 0.9]), np.array([1, 1, 0, 0]), precision=0.75).auroc
        1.0
    """
    uncertainty, hit = validate_scores(uncertainty, hit)
    if not 0 < precision <= 1:
        raise OvertopError(f"the target precision is {precision}; give a number above 0 and at most 1")
    measures = selective_measures(SortedQueries(uncertainty, hit).count(), precision)
    return SelectiveMeasures(**{name: float(values[0]) for name, values in measures.items()})


def measure_auroc_and_aurc(uncertainty: np.ndarray, hit: np.ndarray) -> dict[str, float]:
    """Measure only `auroc` and `aurc` of `SelectiveMeasures`; arguments as for `measure_selective_prediction`."""
    counts = SortedQueries(uncertainty, hit).count()
    return {"auroc": float(auroc(counts)[0]), "aurc": float(aurc(counts)[0])}


def selective_measures(counts: CumulativeCounts, precision: float) -> dict[str, np.ndarray]:
    """Return the measures of `SelectiveMeasures` by name, each (B,), for B weightings at once."""
    area = aurc(counts)
    return {
        "aurc": area,
        "eaurc": area - optimal_aurc(counts.total, counts.total_misses),
        "augrc": counts.area_under_misses / counts.total**2,
        "auroc": auroc(counts),
        "aupr": average_precision(counts),
        "coverage": _coverage(counts, precision),
    }


def aurc(counts: CumulativeCounts) -> np.ndarray:
    """(B,) area under the risk-coverage curve.

    Within a group of n queries and e misses the expected number of misses rises by e / n per query, so that the risks
    of the group sum to e + (misses before - queries before * e / n) * (difference of harmonic numbers).
    """
    harmonic = _harmonic_numbers(int(counts.total.max()))
    rate = counts.group_misses / np.maximum(counts.group_sizes, 1)
    rate *= counts.n_queries[:, :-1]
    offset = np.subtract(counts.n_misses[:, :-1], rate, out=rate)
    steps = np.diff(harmonic.take(counts.n_queries.astype(np.intp)), axis=1)
    return (_dot(offset, steps) + counts.total_misses) / counts.total


def optimal_aurc(total: np.ndarray, misses: np.ndarray) -> np.ndarray:
    """(B,) AURC of an order with all hits first: the mean of max(0, 1 - hits / k) over k = 1, ..., total."""
    harmonic = _harmonic_numbers(int(total.max()))
    hits = total - misses
    return (misses - hits * (harmonic[total.astype(np.int64)] - harmonic[hits.astype(np.int64)])) / total


def auroc(counts: CumulativeCounts) -> np.ndarray:
    """(B,) probability that a miss is more uncertain than a hit, ties counting half; 0.5 without hits or misses."""
    total, misses = counts.total, counts.total_misses
    pairs = misses * (total - misses)
    ordered_pairs = misses * total - misses**2 / 2 - counts.area_under_misses
    return np.where(pairs > 0, ordered_pairs / np.maximum(pairs, 1), 0.5)


def average_precision(counts: CumulativeCounts) -> np.ndarray:
    """(B,) average precision of finding misses by high uncertainty, with ties taken together; 0 without misses."""
    precision = counts.total_misses[:, None] - counts.n_misses[:, :-1]
    precision /= np.maximum(counts.total[:, None] - counts.n_queries[:, :-1], 1)
    return _dot(counts.group_misses, precision) / np.maximum(counts.total_misses, 1)


def _coverage(counts: CumulativeCounts, precision: float) -> np.ndarray:
    allowed_misses = (1 - precision + PRECISION_TOLERANCE) * counts.n_queries
    return np.where(counts.n_misses <= allowed_misses, counts.n_queries, 0).max(axis=1) / counts.total


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("bg,bg->b", left, right)


def _harmonic_numbers(largest: int) -> np.ndarray:
    """Harmonic numbers 0, 1, 1 + 1/2, ..., at least up to the index `largest`."""
    return _harmonic_table(largest.bit_length())


@lru_cache(maxsize=4)
def _harmonic_table(bits: int) -> np.ndarray:
    return np.append(0.0, np.cumsum(1.0 / np.arange(1, 2**bits + 1)))
