"""How recall rises as the most uncertain queries are removed (Sec. 4.4 of the paper)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.evaluation.inputs import checked
from overtop.terms import Protocol


@dataclass(frozen=True)
class Rejection:
    """A rejection curve and its area.

    Attributes:
        curve: one row per cut: `n_rejected`, `fraction_rejected`, `recall_at_1` of the rest, and `oracle_recall_at_1`,
            the upper bound, which removes all misses first.
        auc: area under `recall_at_1`, scaled to [0, 1].
        oracle_auc: the same under the oracle.
    """

    curve: pd.DataFrame
    auc: float
    oracle_auc: float


def reject(uncertainty: np.ndarray, hit: np.ndarray, step: int, protocol: Protocol) -> Rejection:
    """Remove the most uncertain queries, `step` at a time, down to the last that leaves any.

    Queries of equal uncertainty have no order: a cut among them removes their hits in proportion, which is the
    expected recall over all orders. (The released code leaves them in the order of an unstable sort.)

    The area is by the trapezoidal rule. `published`: over the number removed divided by the largest number removed.
    `corrected`: over the fraction removed on all of [0, 1]; beyond the last cut the recall stays what it was there.
    With one point alone both are its recall.

    Args:
        uncertainty: (Q,), higher is less trustworthy.
        hit: (Q,) bool, whether the top-1 is right.
        step: queries removed at a time.
        protocol: convention of the area; the curve is the same under both.

    Raises:
        OvertopError: no queries, shapes that differ, an uncertainty that is not finite, `step` below 1, or a protocol
            of another name.
    """
    uncertainty, hit = checked(uncertainty, hit)
    if step < 1:
        raise OvertopError(f"the step of the rejection curve is {step}; give at least 1")
    if protocol not in ("published", "corrected"):
        raise OvertopError(f"unknown protocol {protocol!r}; use published or corrected")
    total, hit_count = len(hit), int(hit.sum())
    cuts = np.arange(0, total, step)
    rest = total - cuts
    recall = (hit_count - _expected_hits_removed(uncertainty, hit, cuts)) / rest
    oracle = np.minimum(1.0, hit_count / rest)
    curve = pd.DataFrame(
        {
            "n_rejected": cuts,
            "fraction_rejected": cuts / total,
            "recall_at_1": recall,
            "oracle_recall_at_1": oracle,
        }
    )
    span = cuts[-1] if protocol == "published" else total
    return Rejection(curve, _area(cuts, recall, span), _area(cuts, oracle, span))


def _expected_hits_removed(uncertainty: np.ndarray, hit: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Between the ends of a group of equal uncertainty the expected number of hits is linear in the cut."""
    _, group, size = np.unique(-uncertainty, return_inverse=True, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(size)])
    hits = np.concatenate([[0], np.cumsum(np.bincount(group, weights=hit))])
    return np.interp(cuts, ends, hits)


def _area(cuts: np.ndarray, recall: np.ndarray, span: int) -> float:
    """Area over [0, span], divided by `span`; the last value is held to the end."""
    if len(cuts) == 1:
        return float(recall[0])
    return float((np.trapezoid(recall, cuts) + (span - cuts[-1]) * recall[-1]) / span)
