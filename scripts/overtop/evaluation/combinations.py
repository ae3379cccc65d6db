"""The combinations of a score table that are measured: direction, estimator, protocol and set of positives."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.evaluation.distinct import Content
from overtop.evaluation.inputs import HIT_COLUMNS, RANK_COLUMNS, validate_scores
from overtop.terms import Protocol

KEY = ["direction", "estimator", "protocol", "positives"]
"""Columns that tell combinations apart."""

_QUERY_COLUMNS = ["image_id", "uncertainty", *HIT_COLUMNS.values(), *RANK_COLUMNS.values(), "tied", "absent"]
"""Columns of the score table that a combination has."""


@dataclass(frozen=True)
class Combination:
    """One direction, estimator, protocol and set of positives, with the rows of its queries in the score table."""

    direction: str
    estimator: str
    protocol: Protocol
    positives: str
    queries: pd.DataFrame

    @property
    def key(self) -> dict[str, str]:
        """Its values of `KEY`."""
        return {name: getattr(self, name) for name in KEY}

    @property
    def uncertainty(self) -> np.ndarray:
        """Uncertainties (Q,) of the queries."""
        return self.queries["uncertainty"].to_numpy(dtype=np.float64)

    @property
    def hit(self) -> np.ndarray:
        """Whether the top-1 is a positive, (Q,)."""
        return self.queries[HIT_COLUMNS[self.positives]].to_numpy(dtype=bool)

    @property
    def rank(self) -> np.ndarray:
        """Ranks (Q,) of the best positive."""
        return self.queries[RANK_COLUMNS[self.positives]].to_numpy(dtype=np.float64)

    @cached_property
    def content(self) -> Content:
        """Equal for combinations whose measures are equal, except those that depend on ranks."""
        return self.uncertainty.tobytes(), self.hit.tobytes()


def number_ids(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a score table with numbers in place of the ids of queries and images, in the same order.

    A table of a million queries repeats each id for every estimator, which takes more memory than all numbers.
    """
    return scores.assign(**{name: _number(scores[name]) for name in ("query_id", "image_id")})


def _number(ids: pd.Series) -> np.ndarray:
    known = ids.astype("category").cat
    return known.categories.argsort().argsort().astype(np.int32)[known.codes]


def combinations_by_direction(scores: pd.DataFrame) -> list[list[Combination]]:
    """Return all combinations whose hits are known, a list for each direction.

    Args:
        scores: score table of one posterior on one split, with numbers in place of ids.

    Raises:
        OvertopError: estimators of a direction were scored on different queries, or an uncertainty is not finite.
    """
    of_direction = defaultdict(list)
    for combination in _combinations(scores):
        of_direction[combination.direction].append(combination)
    return list(of_direction.values())


def _combinations(scores: pd.DataFrame) -> Iterator[Combination]:
    first: dict[str, np.ndarray] = {}
    for (direction, estimator, protocol), rows in scores.groupby(KEY[:-1], sort=False):
        if not np.array_equal(rows["query_id"], first.setdefault(direction, rows["query_id"].to_numpy())):
            raise OvertopError(
                f"{estimator} ({protocol}, {direction}) was scored on other queries than the estimators before it; "
                "score all of them again on one split"
            )
        queries = rows[_QUERY_COLUMNS]
        validate_scores(queries["uncertainty"].to_numpy(), queries["hit"].to_numpy())
        for positives, column in HIT_COLUMNS.items():
            if queries[column].notna().all():
                yield Combination(direction, estimator, protocol, positives, queries)
