"""How well confidence models hold on other data than they were fitted on: other galleries, other data sets.

A model is fitted on the labelled queries of one split and applied to those of each data set. A model without labels,
whose probability of a hit is one minus the uncertainty (`mappings.SoftmaxMapping`), is measured beside it, to show what
labels buy. One random query per image is used throughout, since intervals and thresholds assume independent queries.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from overtop.confidence.answering import similarity_drift
from overtop.confidence.fitting import fit_model
from overtop.confidence.hit_probabilities import (
    MEASURE_BOUNDS,
    coverage_curve,
    hit_predictions,
    measure_hit_probabilities,
    reliability_bins,
)
from overtop.confidence.mappings import PROBABILITY_ESTIMATORS, SoftmaxMapping
from overtop.confidence.model import ConfidenceModel, ModelFacts
from overtop.confidence.thresholds import Role, measure_threshold, sample_independent_queries
from overtop.config.evaluation import BootstrapSpec
from overtop.config.operating import OperatingSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import bootstrap_seed, draw_cluster_weights
from overtop.retrieval.ranking import Ranking
from overtop.terms import Direction

LABELLED, UNLABELLED = "labelled", "unlabelled"
"""Values of `fit`: the mapping was fitted to labelled queries, or is the probability of the estimator itself."""

_KEY = ["dataset", "split", "direction", "estimator"]
_SIZES = ["n_labelled", "n_queries", "n_absent", "labelled_gallery", "gallery"]
COLUMNS = [
    *_KEY, "fit", "mapping", "bank", *_SIZES, "drift", "drift_p_value", "unlike_labelled",
    *(f"{name}{end}" for name in MEASURE_BOUNDS for end in ("", "_low", "_high")), "ece_calibrated",
]  # fmt: skip
"""Columns of `Transfers.measures`."""

THRESHOLD_COLUMNS = [
    *_KEY, *_SIZES, "target", "confidence", "threshold", "labelled_coverage", "coverage", "achieved", "achieved_low",
    "achieved_high", "met",
]  # fmt: skip
"""Columns of `Transfers.thresholds`."""

BIN_COLUMNS = [
    *_KEY, "fit", "ece", "ece_calibrated", "level", "curve", "bin", "n_queries", "p_low", "p_high", "p_right",
    "accuracy", "accuracy_low", "accuracy_high", "coverage",
]  # fmt: skip
"""Columns of `Transfers.bins`."""


@dataclass(frozen=True)
class ScoredQueries:
    """Labelled queries of one data set, by one posterior.

    Attributes:
        dataset: name of the data set.
        split: of the data set.
        scores: score table (`estimators.scoring`).
        rankings: by direction.
        bank: display name of the bank that they were ranked with; empty without one.
    """

    dataset: str
    split: str
    scores: pd.DataFrame
    rankings: Mapping[Direction, Ranking]
    bank: str = ""

    def sample_independent(self, seed: int, role: Role) -> "ScoredQueries":
        """Return the corrected scores of one query per image and direction: the queries of the operating points.

        Args:
            seed: of the run.
            role: of the queries.
        """
        corrected = self.scores[self.scores["protocol"] == "corrected"]
        sample = sample_independent_queries(corrected, seed, role)
        return replace(self, scores=sample.sort_values("query_id", kind="stable", ignore_index=True))

    def select(self, direction: str, estimator: str) -> pd.DataFrame:
        """Return the scores of one direction and estimator, in the order of the queries' names."""
        return self.scores[(self.scores["direction"] == direction) & (self.scores["estimator"] == estimator)]

    def similarity(self, direction: Direction, queries: pd.Series) -> np.ndarray:
        """Return the similarities of the top-1 of some queries, (Q,)."""
        ranking = self.rankings[direction]
        return pd.Series(ranking.top_scores[:, 0], index=ranking.query_ids).loc[queries].to_numpy(np.float64)

    def omitted(self, estimators: Sequence[str]) -> list[str]:
        """Return one line for each of some estimators that has no scores."""
        scored = set(self.scores["estimator"])
        return [f"{name}: no scores on {self.dataset}/{self.split}" for name in estimators if name not in scored]


class Transfers(NamedTuple):
    """The tables of a study.

    Attributes:
        measures: columns `COLUMNS`; a row per data set, direction, estimator and `fit`.
        thresholds: columns `THRESHOLD_COLUMNS`; a row per data set, direction, estimator and target.
        bins: columns `BIN_COLUMNS`; the reliability diagram of each row of `measures`: `curve` is `reliability` for
            its points and `coverage` for the share of queries with at least a probability.
        omitted: one line for each estimator without scores on the labelled split or on a data set.
    """

    measures: pd.DataFrame
    thresholds: pd.DataFrame
    bins: pd.DataFrame
    omitted: list[str]


@dataclass(frozen=True)
class _Fitted:
    """A confidence model, and what the rows of all data sets have in common."""

    direction: Direction
    model: ConfidenceModel
    names: dict[str, object]


def measure_transfers(
    labelled: ScoredQueries,
    evaluated: Sequence[ScoredQueries],
    estimators: Sequence[str],
    operating: OperatingSpec,
    bootstrap: BootstrapSpec,
    seed: int,
) -> Transfers:
    """Fit confidence models on labelled queries, and measure them on every data set.

    Args:
        labelled: the queries that the models are fitted on.
        evaluated: the queries that they are measured on, by the same posterior.
        estimators: names; those without scores are left out.
        operating: precisions, their confidence, and the mapping.
        bootstrap: of the intervals.
        seed: of the run.

    Raises:
        OvertopError: none of the estimators was scored, or an uncertainty is not finite.
    """
    labelled = labelled.sample_independent(seed, "val")
    models = list(_fit_models(labelled, estimators, operating, seed))
    omitted = labelled.omitted(estimators)
    available = [name for name in estimators if name in set(labelled.scores["estimator"])]
    measures, thresholds, bins = list[dict[str, object]](), list[dict[str, object]](), list[pd.DataFrame]()
    for queries in evaluated:
        queries = queries.sample_independent(seed, "test")
        omitted += queries.omitted(available)
        for fitted in models:
            rows = queries.select(fitted.direction, fitted.model.estimator)
            if rows.empty:
                continue
            names = fitted.names | _describe(queries, fitted.direction, rows)
            drift = _drift(fitted.model, queries.similarity(fitted.direction, rows["query_id"]))
            thresholds += [names | row for row in _threshold_rows(fitted.model, rows)]
            for fit, table, row in _probability_rows(fitted.model, rows, queries, bootstrap, seed):
                row |= names | drift | {"fit": fit, "bank": queries.bank, "level": bootstrap.level}
                measures.append(row)
                bins.append(table.assign(**{key: row[key] for key in BIN_COLUMNS if key not in table}))
    if not measures:
        raise OvertopError(f"{'; '.join(omitted)}; name estimators that are scored on both")
    return Transfers(
        pd.DataFrame(measures)[COLUMNS],
        pd.DataFrame(thresholds)[THRESHOLD_COLUMNS].astype({"met": "boolean"}),
        pd.concat(bins, ignore_index=True)[BIN_COLUMNS],
        omitted,
    )


def _fit_models(
    labelled: ScoredQueries, estimators: Sequence[str], operating: OperatingSpec, seed: int
) -> Iterator[_Fitted]:
    """A confidence model for each direction and estimator with scores."""
    for direction, ranking in labelled.rankings.items():
        for name in estimators:
            rows = labelled.select(direction, name)
            if rows.empty:
                continue
            gallery = len(ranking.gallery_ids)
            mapping = operating.mapping
            if mapping == "softmax" and name not in PROBABILITY_ESTIMATORS:
                mapping = "auto"  # as the setting cannot apply to an estimator that is no probability
            model = fit_model(
                {name: rows["uncertainty"].to_numpy()},
                labelled.similarity(direction, rows["query_id"]),
                rows["hit"].to_numpy(dtype=bool),
                precisions=operating.precisions,
                confidence=operating.confidence,
                mapping=mapping,
                seed=seed,
                facts=ModelFacts(gallery),
            )
            sizes = {"n_labelled": len(rows), "labelled_gallery": gallery}
            yield _Fitted(direction, model, {"direction": direction, "estimator": name, **sizes})


def _describe(queries: ScoredQueries, direction: Direction, rows: pd.DataFrame) -> dict[str, object]:
    return {
        "dataset": queries.dataset,
        "split": queries.split,
        "n_queries": len(rows),
        "n_absent": int(rows["absent"].sum()),
        "gallery": len(queries.rankings[direction].gallery_ids),
    }


def _drift(model: ConfidenceModel, similarity: np.ndarray) -> dict[str, object]:
    """How far the similarities (Q,) are from those of the labelled queries, and whether users would be warned."""
    drift = similarity_drift(model, similarity)
    return {"drift": drift.distance, "drift_p_value": drift.p_value, "unlike_labelled": drift.is_large}


def _threshold_rows(model: ConfidenceModel, rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    uncertainty, hit = rows["uncertainty"].to_numpy(), rows["hit"].to_numpy(dtype=bool)
    for item in model.thresholds:
        yield {
            "target": item.precision,
            "confidence": model.confidence,
            "threshold": item.threshold,
            "labelled_coverage": item.coverage,
            **measure_threshold(item.threshold, item.precision, uncertainty, hit, model.confidence),
        }


def _probability_rows(
    model: ConfidenceModel, rows: pd.DataFrame, queries: ScoredQueries, bootstrap: BootstrapSpec, seed: int
) -> Iterator[tuple[str, pd.DataFrame, dict[str, object]]]:
    """For the fitted mapping, and for the estimator itself if it is a probability: `fit`, its bins and its measures."""
    uncertainty, hit = rows["uncertainty"].to_numpy(), rows["hit"].to_numpy(dtype=bool)
    resamples_seed = bootstrap_seed(seed, queries.dataset, queries.split)
    weights = draw_cluster_weights(len(rows), bootstrap.resamples, resamples_seed)
    mappings = {LABELLED: model.mapping}
    if model.estimator in PROBABILITY_ESTIMATORS:
        mappings[UNLABELLED] = SoftmaxMapping()
    for fit, mapping in mappings.items():
        predictions = hit_predictions(mapping.probability(uncertainty), hit)
        measured = measure_hit_probabilities(predictions, weights, bootstrap.level)
        curves = {
            "reliability": reliability_bins(predictions, bootstrap.level),
            "coverage": coverage_curve(predictions),
        }
        bins = pd.concat([rows.assign(curve=name) for name, rows in curves.items()], ignore_index=True)
        yield fit, bins, {"mapping": mapping.kind, **measured}
