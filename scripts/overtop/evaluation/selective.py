"""How well an uncertainty tells hits from misses, and what it is worth to answer the most certain queries only."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from overtop.errors import OvertopError
from overtop.evaluation.inputs import checked
from overtop.evaluation.ordering import Counts, Ordering

MARGIN = 1e-12
"""Share of the kept queries by which rounding may make a precision seem missed."""


@dataclass(frozen=True)
class Selective:
    """Measures of selective prediction. One query is a loss of 1 (a miss) or 0 (a hit).

    Where nothing can be told, each has the value of an uncertainty that says nothing.

    Attributes:
        aurc: area under the risk-coverage curve, the mean over k = 1, ..., Q of the expected share of misses among the
            k most certain queries, over all orders of equals; smaller is better (Geifman and El-Yaniv 2017).
        eaurc: `aurc` less that of an order with all hits first; ideal 0 (Geifman et al. 2019).
        augrc: area under the generalised risk-coverage curve, by the trapezoidal rule from coverage 0 to 1: the mean
            share of all queries that are answered and miss; smaller is better (Traub et al. 2024).
        auroc: the chance that a miss is more uncertain than a hit, equals counting half; ideal 1; 0.5 without hits or
            without misses.
        aupr: average precision of finding misses by high uncertainty, equals taken together; ideal 1; the share of
            misses if nothing is told, so 0 without misses.
        coverage: the largest share of queries, the most certain first and equals together, whose R@1 is at least the
            asked precision; 0 if there is none.
    """

    aurc: float
    eaurc: float
    augrc: float
    auroc: float
    aupr: float
    coverage: float


def selective_measures(uncertainty: np.ndarray, hit: np.ndarray, precision: float) -> Selective:
    """Measure one uncertainty.

    Args:
        uncertainty: (Q,), higher is less trustworthy.
        hit: (Q,) bool, whether the top-1 is right.
        precision: R@1 at which the coverage is read off, in (0, 1].

    Raises:
        OvertopError: no queries, shapes that differ, an uncertainty that is not finite, or a precision out of range.
    """
    uncertainty, hit = checked(uncertainty, hit)
    if not 0 < precision <= 1:
        raise OvertopError(f"the target precision is {precision}; give a number above 0 and at most 1")
    found = measures(Ordering(uncertainty, hit).counts(), precision)
    return Selective(**{name: float(value[0]) for name, value in found.items()})


def measures(counts: Counts, precision: float) -> dict[str, np.ndarray]:
    """The measures of `Selective`, each (B,), of B weightings at once."""
    area = aurc(counts)
    return {
        "aurc": area,
        "eaurc": area - best_aurc(counts.total, counts.total_errors),
        **_augrc_and_auroc(counts),
        "aupr": _aupr(counts),
        "coverage": _coverage(counts, precision),
    }


def aurc(counts: Counts) -> np.ndarray:
    """(B,) area under the risk-coverage curve.

    Between the ends of a group of n queries and e misses the expected misses rise by e / n each, so that the sum of
    risks over it is e + (misses before - queries before * e / n) * (difference of harmonic numbers).
    """
    harmonic = _harmonic(int(counts.total.max()))
    rate = counts.errors / np.maximum(counts.size, 1)
    rate *= counts.kept[:, :-1]
    offset = np.subtract(counts.missed[:, :-1], rate, out=rate)
    steps = np.diff(harmonic.take(counts.kept.astype(np.intp)), axis=1)
    return (_dot(offset, steps) + counts.total_errors) / counts.total


def best_aurc(total: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """(B,) area where all hits come first: the mean of max(0, 1 - hits / k)."""
    harmonic = _harmonic(int(total.max()))
    hits = total - errors
    return (errors - hits * (harmonic[total.astype(np.int64)] - harmonic[hits.astype(np.int64)])) / total


def _augrc_and_auroc(counts: Counts) -> dict[str, np.ndarray]:
    """Both from the area under the curve of misses: AUGRC is (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2."""
    total, errors = counts.total, counts.total_errors
    area = _dot(counts.size, counts.missed[:, :-1]) + _dot(counts.size, counts.errors) / 2
    pairs = errors * (total - errors)
    won = errors * total - errors**2 / 2 - area
    return {"augrc": area / total**2, "auroc": np.where(pairs > 0, won / np.maximum(pairs, 1), 0.5)}


def _aupr(counts: Counts) -> np.ndarray:
    found = counts.total_errors[:, None] - counts.missed[:, :-1]
    found /= np.maximum(counts.total[:, None] - counts.kept[:, :-1], 1)
    return _dot(counts.errors, found) / np.maximum(counts.total_errors, 1)


def _coverage(counts: Counts, precision: float) -> np.ndarray:
    allowed = (1 - precision + MARGIN) * counts.kept
    return np.where(counts.missed <= allowed, counts.kept, 0).max(axis=1) / counts.total


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("bg,bg->b", left, right)


def _harmonic(largest: int) -> np.ndarray:
    """Harmonic numbers 0, 1, 1 + 1/2, ... at least up to that of `largest`."""
    return _harmonic_table(largest.bit_length())


@lru_cache(maxsize=4)
def _harmonic_table(bits: int) -> np.ndarray:
    return np.append(0.0, np.cumsum(1.0 / np.arange(1, 2**bits + 1)))
