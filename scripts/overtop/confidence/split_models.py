"""The confidence models of a posterior, fitted on its ranking of a labelled split."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from overtop.confidence.fitting import fit_model
from overtop.confidence.model import ConfidenceModel, ModelFacts
from overtop.confidence.thresholds import sample_independent_queries
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.registry import get_estimator, missing_requirement
from overtop.estimators.scoring import score_direction
from overtop.seeds import derive_seed
from overtop.storage.split import Split
from overtop.terms import Direction, Protocol

PROTOCOL: Protocol = "corrected"
"""Confidence models are of this protocol: `published` repeats known errors of the released code."""


def fit_split_models(
    split: Split,
    inputs: Mapping[Direction, EstimatorInputs],
    candidates: Sequence[str],
    facts: Mapping[Direction, ModelFacts],
    *,
    precisions: Sequence[float],
    confidence: float,
    mapping: str,
    seed: int,
) -> dict[str, ConfidenceModel]:
    """Fit one confidence model per direction, on one random query per image and the labelled positives.

    Args:
        split: the labelled pairs.
        inputs: measurements for the queries, by direction.
        candidates: names of estimators; of several, each model has the best.
        facts: by direction, what the queries were ranked with.
        precisions: to guarantee.
        confidence: of each guarantee.
        mapping: see `fitting.fit_model`.
        seed: of all random choices.

    Raises:
        OvertopError: no query of a direction has a label, the inputs do not allow an estimator, or an argument of
            `fit_model` is not valid.
    """
    scores = [score_queries(split, direction, measured, candidates) for direction, measured in inputs.items()]
    sample = sample_independent_queries(pd.concat(scores, ignore_index=True), seed, "val")
    models: dict[str, ConfidenceModel] = {}
    for direction, measured in inputs.items():
        rows = sample[sample["direction"] == direction]
        tables = {name: rows[rows["estimator"] == name].set_index("query_id") for name in candidates}
        queries = tables[candidates[0]]
        similarity = pd.Series(measured.ranking.top_scores[:, 0].astype(np.float64), index=measured.ranking.query_ids)
        models[direction] = fit_model(
            {name: table.loc[queries.index, "uncertainty"].to_numpy() for name, table in tables.items()},
            similarity.loc[queries.index].to_numpy(),
            queries["hit"].to_numpy(dtype=bool),
            precisions=precisions,
            confidence=confidence,
            mapping=mapping,
            seed=derive_seed(seed, "calibrate", direction),
            facts=facts[direction],
        )
    return models


def score_queries(
    split: Split, direction: Direction, inputs: EstimatorInputs, candidates: Sequence[str]
) -> pd.DataFrame:
    """Return the score table of the labelled queries of one direction, under `PROTOCOL`.

    Raises:
        OvertopError: no query has a label, or the inputs do not allow an estimator.
    """
    for name in candidates:
        if reason := missing_requirement(get_estimator(name), inputs, PROTOCOL):
            raise OvertopError(f"operating.estimator: {name!r} {reason}")
    return score_direction(split, direction, inputs, candidates, [PROTOCOL])
