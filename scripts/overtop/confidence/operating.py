"""Operating points of a posterior: thresholds and conformal sets that are chosen on validation and measured on test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from overtop.confidence.conformal import Candidates, evaluate_conformal_sets
from overtop.confidence.sample_sizes import queries_needed
from overtop.confidence.thresholds import Role, evaluate_thresholds, sample_independent_queries
from overtop.evaluation.inputs import HIT_COLUMNS
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import positives_matrix
from overtop.storage.split import Split
from overtop.terms import POSITIVES, Direction

COLUMNS = [
    "direction", "estimator", "protocol", "positives", "form", "target", "confidence", "n_validation", "n_needed",
    "n_test", "threshold", "validation_coverage", "coverage", "achieved", "achieved_low", "achieved_high", "met",
    "mean_set_size", "median_set_size", "share_censored",
]  # fmt: skip
"""Columns of the table of operating points; those that do not apply to a form are missing in its rows."""


@dataclass(frozen=True)
class SplitResults:
    """Results of one posterior on one split.

    Attributes:
        split: the pairs of captions and images.
        rankings: by direction.
        scores: score table of the posterior (`estimators.scoring`).
    """

    split: Split
    rankings: Mapping[Direction, Ranking]
    scores: pd.DataFrame

    def sample_queries(self, seed: int, role: Role) -> "SplitResults":
        """Return the results with the scores of one random query per image and direction."""
        return replace(self, scores=sample_independent_queries(self.scores, seed, role))

    def candidates(self, direction: Direction, extended: bool) -> Candidates:
        """Return the best items of the queries in `scores`, with labelled or extended positives."""
        ranking = self.rankings[direction]
        queries = self.scores.loc[self.scores["direction"] == direction, "query_id"].unique()
        rows = np.flatnonzero(np.isin(np.asarray(ranking.query_ids), queries))
        matrix = positives_matrix(self.split, direction, ranking, extended)
        return Candidates(ranking.top_ids[rows], ranking.top_scores[rows], matrix[rows])


def operating_table(
    validation: SplitResults, test: SplitResults, targets: Sequence[float], confidence: float, seed: int
) -> pd.DataFrame:
    """Choose operating points on validation and measure them on test, with one random query per image.

    Args:
        validation: results on the validation split.
        test: results of the same posterior on the test split.
        targets: R@1 of the answered queries, and share of conformal sets with a positive.
        confidence: of each guarantee and each interval.
        seed: of the random choice of queries.

    Returns:
        Columns `COLUMNS`, as described in `evaluate_thresholds` (`form` `guaranteed_precision`), `queries_needed`
        (`n_needed`, if no threshold is guaranteed) and `evaluate_conformal_sets` (`conformal_set`). Conformal sets
        depend on similarities alone, so their `estimator` and `protocol` are missing.

    Raises:
        OvertopError: an estimator was scored on validation but not on test, an uncertainty is not finite, or a target
            or the confidence is not in (0, 1).
    """
    validation = validation.sample_queries(seed, "val")
    test = test.sample_queries(seed, "test")
    thresholds = evaluate_thresholds(validation.scores, test.scores, targets, confidence)
    tables = [thresholds.assign(n_needed=_queries_needed(validation.scores, thresholds))]
    for direction in test.rankings:
        for kind in POSITIVES:
            extended = kind == "extended"
            if extended and (validation.split.extended is None or test.split.extended is None):
                continue
            val_candidates, test_candidates = (side.candidates(direction, extended) for side in (validation, test))
            sets = evaluate_conformal_sets(val_candidates, test_candidates, targets, confidence)
            tables.append(sets.assign(direction=direction, positives=kind))
    return pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS).astype({"met": "boolean"})


def _queries_needed(scores: pd.DataFrame, thresholds: pd.DataFrame) -> list[float]:
    """The number of validation queries that each threshold would need; missing if there are enough."""
    groups = dict(list(scores.groupby(["direction", "estimator", "protocol"], sort=False)))
    needed = []
    for row in thresholds.itertuples():
        rows = groups[(row.direction, row.estimator, row.protocol)]
        hit = rows[HIT_COLUMNS[row.positives]].to_numpy(dtype=bool)
        too_few = row.threshold == -np.inf
        arguments = (rows["uncertainty"].to_numpy(), hit, row.target, row.confidence)
        needed.append(queries_needed(*arguments) if too_few else np.nan)
    return needed
