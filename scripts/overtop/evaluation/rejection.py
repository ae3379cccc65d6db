"""Rejection: how recall rises as the most uncertain queries are removed (Sec. 4.4 of the paper)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.ordering import SortedQueries
from overtop.terms import Protocol


@dataclass(frozen=True)
class Rejection:
    """A rejection curve and the area under it.

    Attributes:
        curve: one row per cut: `n_rejected`, `fraction_rejected`, `recall_at_1` of the remaining queries, and
            `oracle_recall_at_1`, the upper bound, where all misses are removed first.
        auc: area under `recall_at_1`, scaled to [0, 1].
        oracle_auc: area under `oracle_recall_at_1`, scaled likewise.
    """

    curve: pd.DataFrame
    auc: float
    oracle_auc: float


def measure_rejection(uncertainty: np.ndarray, hit: np.ndarray, step: int, protocol: Protocol) -> Rejection:
    """Remove the most uncertain queries, `step` at a time, as long as any remain.

    A cut within queries of equal uncertainty removes their hits in proportion, which gives the expected recall over all
    orders of ties. (The released code leaves ties in the order of an unstable sort.)

    The area is computed by the trapezoidal rule. `published`: over the number removed divided by the largest number
    removed. `corrected`: over the fraction removed in [0, 1], where recall is constant beyond the last cut. A curve of
    one point has its recall as area under both.

    Args:
        uncertainty: (Q,), higher is less trustworthy.
        hit: (Q,) bool, whether the top-1 is right.
        step: queries removed at a time.
        protocol: convention of the area; the curve is the same under both.

    Raises:
        OvertopError: no queries, shapes that differ, an uncertainty that is not finite, `step` below 1, or an unknown
            protocol.

    Example:
        >>> measure_rejection(np.array([0.1, 0.9]), np.array([1, 0]), step=1, protocol="corrected").auc
        0.875
    """
    uncertainty, hit = validate_scores(uncertainty, hit)
    if step < 1:
        raise OvertopError(f"the step of the rejection curve is {step}; give at least 1")
    if protocol not in ("published", "corrected"):
        raise OvertopError(f"unknown protocol {protocol!r}; use published or corrected")
    counts = SortedQueries(uncertainty, hit).count()
    cuts, recall = recall_after_rejection(counts.n_queries[0], counts.n_misses[0], step)
    total, n_hits = len(hit), int(hit.sum())
    oracle = np.minimum(1.0, n_hits / (total - cuts))
    curve = pd.DataFrame(
        {
            "n_rejected": cuts,
            "fraction_rejected": cuts / total,
            "recall_at_1": recall,
            "oracle_recall_at_1": oracle,
        }
    )
    return Rejection(
        curve,
        auc=area_under_curve(cuts, recall, total, protocol),
        oracle_auc=area_under_curve(cuts, oracle, total, protocol),
    )


def recall_after_rejection(n_queries: np.ndarray, n_misses: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cuts of one rejection curve (numbers of queries removed) and the recall of the remaining queries.

    Within a group of equal uncertainty the expected number of misses is linear in the cut.

    Args:
        n_queries: (G + 1,) queries in the g most certain groups.
        n_misses: (G + 1,) misses among them.
        step: queries removed at a time.
    """
    total = int(n_queries[-1])
    cuts = np.arange(0, total, step)
    remaining = total - cuts
    return cuts, (remaining - np.interp(remaining, n_queries, n_misses)) / remaining


def area_under_curve(cuts: np.ndarray, recall: np.ndarray, total: int, protocol: Protocol) -> float:
    """Area under a rejection curve of `total` queries by the convention of `protocol`."""
    if len(cuts) == 1:
        return float(recall[0])
    span = cuts[-1] if protocol == "published" else total
    return float((np.trapezoid(recall, cuts) + (span - cuts[-1]) * recall[-1]) / span)
