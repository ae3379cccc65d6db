"""All metrics of the scores of one posterior, with intervals and paired differences from a reference estimator."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import (
    Draws,
    bootstrap_measures,
    bootstrap_recalls,
    calibration_variant,
    draw_cluster_weights,
)
from overtop.evaluation.calibration import Calibration, measure_calibration
from overtop.evaluation.combinations import KEY, Combination, combinations_by_direction, number_ids
from overtop.evaluation.distinct import map_distinct
from overtop.evaluation.eccv import measure_eccv_recall
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.rank_correlation import (
    RankCorrelation,
    measure_rank_correlation,
    resample_rank_correlations,
)
from overtop.evaluation.rejection import Rejection, measure_rejection
from overtop.evaluation.reranking import measure_reranking
from overtop.evaluation.selective import SelectiveMeasures, measure_selective_prediction
from overtop.evaluation.significance import Bounds, adjust_holm, bootstrap_p_value, symmetric_interval
from overtop.seeds import derive_seed
from overtop.terms import BINNINGS, Binning, Protocol

_TEST_FAMILY = ["direction", "protocol", "positives", "binning"]
"""Columns within which p-values are adjusted together."""

_RECALL_KS = (5, 10)
"""Every k at which R@k is measured, besides 1."""

_SIGNED_MEASURES = ("spearman", "neg_sr2", "tau_b")
"""Measures in [-1, 1]; all others are in [0, 1]."""

_COMPARED_MEASURES = ("aurc", "rejection_auc")
"""Measures in [0, 1] whose difference from the reference estimator is computed; neither depends on the binning."""


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`, as long tables.

    Attributes:
        metrics: one row per direction, estimator, protocol, positives and binning: recall, calibration, rejection and
            the measures of `SelectiveMeasures` and `RankCorrelation`, each with the ends of its interval (`_low`,
            `_high`), which contains it. All are over all queries, those whose target is absent included (`n_absent`,
            and their share `absent`). `oracle_auc` (area under the rejection curve that removes all misses first) has
            no interval. `calibration_defined` is false where S, R2 and -S R2 are missing because the correlation is not
            defined; a resample in which it is not defined counts as arbitrarily far away. `aurc_diff` and
            `rejection_auc_diff` are the value minus that of the reference estimator, with intervals from the same
            resamples; `p_value` tests that `aurc_diff` is zero, and `p_holm` is adjusted for all estimators of a
            direction, protocol and set of positives. These are missing in the rows of the reference estimator, and in
            all rows if it was not scored. `reranked_recall_at_1` and so on are of the items in the order of the
            estimator's normalised similarities; missing for estimators that do not normalise. With judgments of ECCV
            Caption, the columns of `measure_eccv_recall` follow.
        calibration: one row per combination as in `metrics` and bin.
        rejection: one row per direction, estimator, protocol, positives and point of the curve.
    """

    metrics: pd.DataFrame
    calibration: pd.DataFrame
    rejection: pd.DataFrame


@dataclass(frozen=True)
class _Measurement:
    """Measures of a combination, and their values in the resamples."""

    combination: Combination
    rejection: Rejection
    calibrations: dict[Binning, Calibration]
    selective: SelectiveMeasures
    correlation: RankCorrelation
    draws: Draws

    def values(self, binning: Binning) -> dict[str, float]:
        """All measures that have an interval, by name."""
        calibration, rank = self.calibrations[binning], self.combination.rank
        return {
            "recall_at_1": float(self.combination.hit.mean()),
            **{f"recall_at_{k}": float((rank <= k).mean()) for k in _RECALL_KS},
            **{name: getattr(calibration, name) for name in ("spearman", "r2", "neg_sr2")},
            "rejection_auc": self.rejection.auc,
            **asdict(self.selective),
            "tau_b": self.correlation.tau_b,
            "smare": self.correlation.smare,
        }

    def draws_of(self, name: str, binning: Binning) -> np.ndarray:
        """Values (B,) of a measure in the resamples."""
        protocol = self.combination.protocol
        variants = ("", protocol, calibration_variant(binning, protocol))
        return next(self.draws[name, variant] for variant in variants if (name, variant) in self.draws)


def evaluate(scores: pd.DataFrame, spec: EvaluationSpec, seed: int, threads: int = 1) -> Evaluation:
    """Measure recall, calibration, rejection and selective prediction, with intervals and paired differences.

    All estimators, protocols, positives and binnings of a direction use the same resamples of its images.

    Args:
        scores: score table of one posterior on one split (`estimators.scoring`); its texts may be categories.
        spec: bins, steps, and the bootstrap.
        seed: of the resamples. Posteriors with the same queries and seed have the same resamples.
        threads: number of threads; the result does not depend on it.

    Raises:
        OvertopError: there are no scores, estimators of a direction were scored on different queries, or an
            uncertainty is not finite.
    """
    if scores.empty:
        raise OvertopError("there are no scores to evaluate; check that the split of the data set is not empty")
    scores = number_ids(scores)
    metrics, calibration, rejection = [], [], []
    for combinations in combinations_by_direction(scores):
        measurements = _measure_all(combinations, spec, seed, threads)
        references = {
            (measurement.combination.protocol, measurement.combination.positives): measurement
            for measurement in measurements
            if measurement.combination.estimator == spec.bootstrap.reference
        }
        for measurement in measurements:
            combination = measurement.combination
            rejection.append(measurement.rejection.curve.assign(**combination.key))
            reference = references.get((combination.protocol, combination.positives))
            for binning in BINNINGS:
                bins = measurement.calibrations[binning].bins
                calibration.append(bins.assign(**combination.key, binning=binning))
                metrics.append(
                    _metrics_row(measurement, binning, spec.bootstrap.level)
                    | _differences(measurement, None if reference is measurement else reference, spec.bootstrap.level)
                )
    frame = pd.DataFrame(metrics)
    frame["p_holm"] = frame.groupby(_TEST_FAMILY)["p_value"].transform(lambda p: adjust_holm(p.to_numpy()))
    frame = frame.merge(measure_reranking(scores, spec.bootstrap, seed), how="left", on=KEY, sort=False)
    if "hit_eccv" in scores:
        frame = frame.merge(measure_eccv_recall(scores, spec.bootstrap, seed), how="left", on="direction", sort=False)
    return Evaluation(frame, pd.concat(calibration, ignore_index=True), pd.concat(rejection, ignore_index=True))


def _measure_all(combinations: list[Combination], spec: EvaluationSpec, seed: int, threads: int) -> list[_Measurement]:
    """Measure all combinations of one direction, on the same resamples."""
    direction = combinations[0].direction
    cluster, images = pd.factorize(combinations[0].queries["image_id"], sort=True)
    weights = draw_cluster_weights(len(images), spec.bootstrap.resamples, derive_seed(seed, direction))
    steps: dict[Protocol, int] = {
        "published": getattr(spec.rejection_step, direction),
        "corrected": max(1, round(len(cluster) / spec.rejection_points)),
    }

    def draw(combination: Combination) -> Draws:
        queries = SortedQueries(combination.uncertainty, combination.hit, cluster)
        return bootstrap_measures(queries, weights, spec.bins, spec.precision, steps)

    draws = map_distinct(draw, combinations, threads)
    ranks = {c.rank.tobytes(): c.rank for c in combinations}  # most estimators share them
    recalls = {key: bootstrap_recalls(rank, cluster, weights, _RECALL_KS) for key, rank in ranks.items()}
    correlations = [measure_rank_correlation(c.uncertainty, c.rank) for c in combinations]
    rank_draws = resample_rank_correlations(correlations, cluster, weights)
    return [
        _measure(c, spec, steps[c.protocol], correlation, draws[c.content] | recalls[c.rank.tobytes()] | further)
        for c, correlation, further in zip(combinations, correlations, rank_draws, strict=True)
    ]


def _measure(
    combination: Combination, spec: EvaluationSpec, step: int, correlation: RankCorrelation, draws: Draws
) -> _Measurement:
    uncertainty, hit = combination.uncertainty, combination.hit
    return _Measurement(
        combination,
        measure_rejection(uncertainty, hit, step, combination.protocol),
        {
            binning: measure_calibration(uncertainty, hit, spec.bins, binning, combination.protocol)
            for binning in BINNINGS
        },
        measure_selective_prediction(uncertainty, hit, spec.precision),
        correlation,
        draws,
    )


def _metrics_row(measurement: _Measurement, binning: Binning, level: float) -> dict[str, object]:
    combination, calibration = measurement.combination, measurement.calibrations[binning]
    row: dict[str, object] = {
        **combination.key,
        "binning": binning,
        "n_queries": len(combination.queries),
        "n_absent": combination.queries["absent"].sum(),
        "absent": combination.queries["absent"].mean(),
        "n_clusters": combination.queries["image_id"].nunique(),
        "n_bins": len(calibration.bins),
        "calibration_defined": calibration.defined,
    }
    for name, value in measurement.values(binning).items():
        bounds: Bounds = (-1 if name in _SIGNED_MEASURES else 0, 1)
        row[name] = value
        row[f"{name}_low"], row[f"{name}_high"] = symmetric_interval(
            value, measurement.draws_of(name, binning), level, bounds
        )
    return row | {"oracle_auc": measurement.rejection.oracle_auc, "n_tied": combination.queries["tied"].sum()}


def _differences(measurement: _Measurement, reference: _Measurement | None, level: float) -> dict[str, float]:
    """Measures of a combination minus those of the reference; NaN without a reference."""
    row: dict[str, float] = {"p_value": np.nan}
    for name in _COMPARED_MEASURES:
        columns = [f"{name}_diff", f"{name}_diff_low", f"{name}_diff_high"]
        if reference is None:
            row |= dict.fromkeys(columns, np.nan)
            continue
        binning = BINNINGS[0]
        draws = measurement.draws_of(name, binning) - reference.draws_of(name, binning)
        difference = measurement.values(binning)[name] - reference.values(binning)[name]
        row |= dict(zip(columns, (difference, *symmetric_interval(difference, draws, level, (-1, 1))), strict=True))
        if name == "aurc":
            row["p_value"] = bootstrap_p_value(difference, draws)
    return row
