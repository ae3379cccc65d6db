"""The confidence models of a posterior, fitted on the scores of a labelled split."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from overtop.confidence.fitting import fit_model
from overtop.confidence.model import ConfidenceModel, ModelFacts
from overtop.confidence.thresholds import sample_one_query_per_image
from overtop.errors import OvertopError
from overtop.retrieval.ranking import Ranking
from overtop.seeds import derive_seed
from overtop.terms import Direction

PROTOCOL = "corrected"
"""Confidence models are of this protocol: `published` repeats known errors of the released code."""


def fit_split_models(
    scores: pd.DataFrame,
    rankings: Mapping[Direction, Ranking],
    candidates: Sequence[str],
    facts: Mapping[Direction, ModelFacts],
    *,
    precisions: Sequence[float],
    confidence: float,
    mapping: str,
    seed: int,
) -> dict[Direction, ConfidenceModel]:
    """Fit one confidence model per direction, on one random query per image and the labelled positives.

    Args:
        scores: score table of the posterior on the split (`estimators.scoring`).
        rankings: by direction, of the same queries.
        candidates: names of estimators; of several, each model has the best.
        facts: by direction, what the queries were ranked with.
        precisions: to guarantee.
        confidence: of each guarantee.
        mapping: see `fitting.fit_model`.
        seed: of all random choices.

    Raises:
        OvertopError: no query of a direction has a label, an estimator has no scores, or an argument of `fit_model` is
            not valid.
    """
    scores = scores[(scores["protocol"] == PROTOCOL) & scores["estimator"].isin(candidates)]
    sample = sample_one_query_per_image(scores, derive_seed(seed, "calibrate"))
    models: dict[Direction, ConfidenceModel] = {}
    for direction, ranking in rankings.items():
        queries = sample[sample["direction"] == direction]
        tables = {name: queries[queries["estimator"] == name].set_index("query_id") for name in candidates}
        _check_tables(direction, tables)
        similarity = pd.Series(ranking.top_scores[:, 0].astype(np.float64), index=ranking.query_ids)
        query_ids = tables[candidates[0]].index
        models[direction] = fit_model(
            {name: table.loc[query_ids, "uncertainty"].to_numpy() for name, table in tables.items()},
            similarity.loc[query_ids].to_numpy(),
            tables[candidates[0]]["hit"].to_numpy(dtype=bool),
            precisions=precisions,
            confidence=confidence,
            mapping=mapping,
            seed=derive_seed(seed, "calibrate", direction),
            facts=facts[direction],
        )
    return models


def _check_tables(direction: Direction, tables: Mapping[str, pd.DataFrame]) -> None:
    empty = [name for name, table in tables.items() if table.empty]
    if len(empty) == len(tables):
        raise OvertopError(f"{direction}: no query has a known match to fit a confidence model with; label some queries")
    if empty:
        raise OvertopError(
            f"{direction}: {empty[0]!r} has no scores under protocol {PROTOCOL!r}; remove it from `estimators`, or name "
            "another one as operating.estimator"
        )
