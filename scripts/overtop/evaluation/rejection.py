"""How recall rises as the most uncertain queries are removed (Sec. 4.4 of the paper)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.evaluation.inputs import checked
from overtop.evaluation.ordering import Ordering
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
    counts = Ordering(uncertainty, hit).counts()
    cuts, recall = rejection_points(counts.kept[0], counts.missed[0], step)
    total, hit_count = len(hit), int(hit.sum())
    oracle = np.minimum(1.0, hit_count / (total - cuts))
    curve = pd.DataFrame(
        {
            "n_rejected": cuts,
            "fraction_rejected": cuts / total,
            "recall_at_1": recall,
            "oracle_recall_at_1": oracle,
        }
    )
    return Rejection(curve, area(cuts, recall, total, protocol), area(cuts, oracle, total, protocol))


def rejection_points(kept: np.ndarray, missed: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The cuts of one curve and the recall of the rest.

    Between the ends of a group of equal uncertainty the expected number of misses is linear in the cut.

    Args:
        kept: (G + 1,) queries in the g most certain groups.
        missed: (G + 1,) misses among them.
        step: queries removed at a time.
    """
    total = int(kept[-1])
    cuts = np.arange(0, total, step)
    rest = total - cuts
    return cuts, (rest - np.interp(rest, kept, missed)) / rest


def area(cuts: np.ndarray, recall: np.ndarray, total: int, protocol: Protocol) -> float:
    """Area under a curve by the convention of `protocol`."""
    if len(cuts) == 1:
        return float(recall[0])
    span = cuts[-1] if protocol == "published" else total
    return float((np.trapezoid(recall, cuts) + (span - cuts[-1]) * recall[-1]) / span)
