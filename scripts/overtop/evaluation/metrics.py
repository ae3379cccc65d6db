"""All that is measured of one posterior's scores: a row per direction x estimator x protocol x binning x positives."""

from dataclasses import dataclass

import pandas as pd

from overtop.config import EvaluationSpec
from overtop.evaluation.calibration import calibrate
from overtop.evaluation.rejection import reject
from overtop.terms import BINNINGS

_COLUMNS = {"labelled": ("hit", "rank"), "extended": ("hit_extended", "rank_extended")}


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, as long tables.

    Attributes:
        metrics: one row per combination, with recall, calibration and rejection.
        calibration: one row per combination and bin.
        rejection: one row per combination (but for the binning) and point of the curve.
    """

    metrics: pd.DataFrame
    calibration: pd.DataFrame
    rejection: pd.DataFrame


def evaluate(scores: pd.DataFrame, spec: EvaluationSpec) -> Evaluation:
    """Measure recall, calibration and rejection.

    Args:
        scores: as the `score` rule writes them.
        spec: bins and steps.
    """
    metrics, calibration, rejection = [], [], []
    for (direction, estimator, protocol), group in scores.groupby(["direction", "estimator", "protocol"], sort=False):
        for positives, (hit_column, rank_column) in _COLUMNS.items():
            if group[hit_column].isna().any():
                continue
            key = {"direction": direction, "estimator": estimator, "protocol": protocol, "positives": positives}
            uncertainty, hit = group["uncertainty"].to_numpy(), group[hit_column].to_numpy(dtype=bool)
            curve = reject(uncertainty, hit, _step(spec, direction, protocol, len(hit)), protocol)
            rejection.append(curve.curve.assign(**key))
            for binning in BINNINGS:
                bins = calibrate(uncertainty, hit, spec.bins, binning)
                calibration.append(bins.bins.assign(**key, binning=binning))
                metrics.append(
                    {
                        **key,
                        "binning": binning,
                        "n_queries": len(hit),
                        "n_bins": len(bins.bins),
                        "recall_at_1": hit.mean(),
                        "spearman": bins.spearman,
                        "r2": bins.r2,
                        "neg_sr2": bins.neg_sr2,
                        "rejection_auc": curve.auc,
                        "oracle_auc": curve.oracle_auc,
                        "recall_at_5": (group[rank_column] <= 5).mean(),
                        "recall_at_10": (group[rank_column] <= 10).mean(),
                        "n_tied": group["tied"].sum(),
                    }
                )
    return Evaluation(
        pd.DataFrame(metrics),
        pd.concat(calibration, ignore_index=True),
        pd.concat(rejection, ignore_index=True),
    )


def _step(spec: EvaluationSpec, direction: str, protocol: str, n_queries: int) -> int:
    """Queries removed at a time: the paper's number, or what gives a curve of about so many points."""
    if protocol == "published":
        return getattr(spec.rejection_step, direction)
    return max(1, round(n_queries / spec.rejection_points))
