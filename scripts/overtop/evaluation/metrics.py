"""All that is measured of one posterior's scores: a row per direction x estimator x protocol x binning x positives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import Draws, draw_clusters, resampled
from overtop.evaluation.calibration import Calibration, calibrate
from overtop.evaluation.inputs import checked
from overtop.evaluation.ordering import Ordering
from overtop.evaluation.rejection import Rejection, reject
from overtop.evaluation.selective import Selective, selective_measures
from overtop.evaluation.significance import holm, interval, p_value
from overtop.seeds import derive_seed
from overtop.terms import BINNINGS, Binning, Protocol

HITS = {"labelled": "hit", "extended": "hit_extended"}
"""Columns of the scores that tell a hit, by set of positives."""

_RANKS = {"labelled": "rank", "extended": "rank_extended"}
_FAMILY = ["direction", "protocol", "positives", "binning"]
_COMPARED = ("aurc", "rejection_auc")


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, as long tables.

    Attributes:
        metrics: one row per combination: recall, calibration, rejection and the measures of `selective`, each with the
            ends of its interval (`_low`, `_high`). `calibration_defined` is false where S, R2 and -S R2 are 0 because
            there is no correlation. `aurc_diff` and `rejection_auc_diff` are the value less that of the reference
            estimator, with intervals over the same resamples; `p_value` tests that `aurc_diff` is zero, `p_holm` is
            adjusted for all estimators of a direction, protocol and set of positives. These are missing in the
            reference's own row, and in every row where the reference was not scored.
        calibration: one row per combination and bin.
        rejection: one row per combination (but for the binning) and point of the curve.
    """

    metrics: pd.DataFrame
    calibration: pd.DataFrame
    rejection: pd.DataFrame


@dataclass(frozen=True)
class _Case:
    """One estimator under one protocol against one set of positives, and its queries."""

    direction: str
    estimator: str
    protocol: Protocol
    positives: str
    queries: pd.DataFrame

    @property
    def key(self) -> dict[str, str]:
        names = ("direction", "estimator", "protocol", "positives")
        return {name: getattr(self, name) for name in names}

    @property
    def uncertainty(self) -> np.ndarray:
        return self.queries["uncertainty"].to_numpy(dtype=np.float64)

    @property
    def hit(self) -> np.ndarray:
        return self.queries[HITS[self.positives]].to_numpy(dtype=bool)


@dataclass(frozen=True)
class _Found:
    """What was measured of a case, and what the resamples say."""

    case: _Case
    curve: Rejection
    calibrations: dict[Binning, Calibration]
    selective: Selective
    draws: Draws

    def measured(self, binning: Binning) -> dict[str, float]:
        """Every number that gets an interval."""
        calibration = self.calibrations[binning]
        return {
            "recall_at_1": float(self.case.hit.mean()),
            **{name: getattr(calibration, name) for name in ("spearman", "r2", "neg_sr2")},
            "rejection_auc": self.curve.auc,
            **asdict(self.selective),
        }

    def drawn(self, name: str, binning: Binning) -> np.ndarray:
        """The values (B,) of a number in the resamples."""
        return next(self.draws[name, v] for v in ("", binning, self.case.protocol) if (name, v) in self.draws)


def evaluate(scores: pd.DataFrame, spec: EvaluationSpec, seed: int, threads: int = 1) -> Evaluation:
    """Measure recall, calibration, rejection and selective prediction, with intervals and paired differences.

    All estimators, protocols, positives and binnings of a direction see the same resamples of its images.

    Args:
        scores: as the `score` rule writes them.
        spec: bins, steps, and the bootstrap.
        seed: of the resamples. Posteriors with the same queries and seed see the same resamples.
        threads: how many to use; the result does not depend on it.

    Raises:
        OvertopError: there are no scores, estimators of a direction were scored on different queries, or an
            uncertainty is not finite.
    """
    if scores.empty:
        raise OvertopError("there are no scores to evaluate; look at the data set's split")
    metrics, calibration, rejection = [], [], []
    for _, rows in scores.groupby("direction", sort=False):
        results = _results(list(_cases(rows)), spec, seed, threads)
        references = {
            (found.case.protocol, found.case.positives): found
            for found in results
            if found.case.estimator == spec.bootstrap.reference
        }
        for found in results:
            case = found.case
            rejection.append(found.curve.curve.assign(**case.key))
            reference = references.get((case.protocol, case.positives))
            for binning in BINNINGS:
                calibration.append(found.calibrations[binning].bins.assign(**case.key, binning=binning))
                metrics.append(
                    _row(found, binning, spec.bootstrap.level)
                    | _difference(found, None if reference is found else reference, spec.bootstrap.level)
                )
    frame = pd.DataFrame(metrics)
    frame["p_holm"] = frame.groupby(_FAMILY)["p_value"].transform(lambda p: holm(p.to_numpy()))
    return Evaluation(frame, pd.concat(calibration, ignore_index=True), pd.concat(rejection, ignore_index=True))


def _cases(rows: pd.DataFrame) -> Iterator[_Case]:
    """Every combination of a direction that is known, on the same queries in the same order."""
    first = None
    for (direction, estimator, protocol), queries in rows.groupby(["direction", "estimator", "protocol"], sort=False):
        first = queries if first is None else first
        if not np.array_equal(queries["query_id"], first["query_id"]):
            raise OvertopError(
                f"{estimator} ({protocol}, {direction}) was scored on other queries than the estimators before it; "
                "score them all again, on one split"
            )
        checked(queries["uncertainty"].to_numpy(), queries["hit"].to_numpy())
        for positives, column in HITS.items():
            if queries[column].notna().all():
                yield _Case(direction, estimator, protocol, positives, queries)


def _results(cases: list[_Case], spec: EvaluationSpec, seed: int, threads: int) -> list[_Found]:
    """The measures of all cases of one direction, on the same resamples."""
    cluster, images = pd.factorize(cases[0].queries["image_id"], sort=True)
    weights = draw_clusters(len(images), spec.bootstrap.resamples, derive_seed(seed, cases[0].direction))
    steps: dict[Protocol, int] = {
        "published": getattr(spec.rejection_step, cases[0].direction),
        "corrected": max(1, round(len(cluster) / spec.rejection_points)),
    }
    # Most estimators are the same under both protocols: what was drawn for one serves the other.
    distinct = {(case.uncertainty.tobytes(), case.hit.tobytes()): case for case in cases}

    def draw(case: _Case) -> Draws:
        return resampled(Ordering(case.uncertainty, case.hit, cluster), weights, spec.bins, spec.precision, steps)

    with ThreadPoolExecutor(threads) as pool:
        draws = dict(zip(distinct, pool.map(draw, distinct.values()), strict=True))
    return [
        _Found(
            case,
            reject(case.uncertainty, case.hit, steps[case.protocol], case.protocol),
            {binning: calibrate(case.uncertainty, case.hit, spec.bins, binning) for binning in BINNINGS},
            selective_measures(case.uncertainty, case.hit, spec.precision),
            draws[case.uncertainty.tobytes(), case.hit.tobytes()],
        )
        for case in cases
    ]


def _row(found: _Found, binning: Binning, level: float) -> dict[str, object]:
    case, calibration = found.case, found.calibrations[binning]
    rank = case.queries[_RANKS[case.positives]]
    row: dict[str, object] = {
        **case.key,
        "binning": binning,
        "n_queries": len(rank),
        "n_clusters": case.queries["image_id"].nunique(),
        "n_bins": len(calibration.bins),
        "calibration_defined": calibration.defined,
    }
    for name, value in found.measured(binning).items():
        row[name] = value
        row[f"{name}_low"], row[f"{name}_high"] = interval(found.drawn(name, binning), level)
    return row | {
        "oracle_auc": found.curve.oracle_auc,
        "recall_at_5": (rank <= 5).mean(),
        "recall_at_10": (rank <= 10).mean(),
        "n_tied": case.queries["tied"].sum(),
    }


def _difference(found: _Found, reference: _Found | None, level: float) -> dict[str, float]:
    """A case's numbers less the reference's; missing where there is nothing to compare with."""
    row: dict[str, float] = {}
    for name in _COMPARED:
        columns = [f"{name}_diff", f"{name}_diff_low", f"{name}_diff_high"]
        if reference is None:
            row |= dict.fromkeys(columns, np.nan)
            continue
        binning = BINNINGS[0]  # these do not depend on it
        drawn = found.drawn(name, binning) - reference.drawn(name, binning)
        point = found.measured(binning)[name] - reference.measured(binning)[name]
        row |= dict(zip(columns, (point, *interval(drawn, level)), strict=True))
        if name == "aurc":
            row["p_value"] = p_value(drawn)
    return {"p_value": np.nan} | row
