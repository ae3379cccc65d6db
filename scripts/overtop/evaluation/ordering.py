"""Queries from the most certain to the most uncertain, equals together, counted up.

A resample of the queries is a whole weight for each of them; a query drawn w times is w queries of equal uncertainty.
Everything that depends on the order alone is a function of the counts at the ends of the groups of equal uncertainty.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Counts:
    """What the first g of G groups hold, g = 0, ..., G, in each of B weightings; whole numbers as float64.

    Attributes:
        kept: (B, G + 1), how many queries.
        missed: (B, G + 1), how many of them are no hits.
    """

    kept: np.ndarray
    missed: np.ndarray

    @cached_property
    def size(self) -> np.ndarray:
        """(B, G), queries of each group; 0 where none of it was drawn."""
        return np.diff(self.kept, axis=1)

    @cached_property
    def errors(self) -> np.ndarray:
        """(B, G), misses of each group."""
        return np.diff(self.missed, axis=1)

    @property
    def total(self) -> np.ndarray:
        """(B,), all queries."""
        return self.kept[:, -1]

    @property
    def total_errors(self) -> np.ndarray:
        """(B,), all misses."""
        return self.missed[:, -1]


class Ordering:
    """Q queries, sorted once, to be counted under many weightings.

    Attributes:
        values: (G,) the distinct uncertainties, rising.
        n_queries: Q.
    """

    def __init__(self, uncertainty: np.ndarray, hit: np.ndarray, cluster: np.ndarray | None = None) -> None:
        """Sort.

        Args:
            uncertainty: (Q,) finite.
            hit: (Q,) bool.
            cluster: (Q,) which weight is each query's; by default each has its own.
        """
        order = np.argsort(uncertainty, kind="stable")
        rising = uncertainty[order]
        last = np.flatnonzero(np.append(rising[1:] != rising[:-1], True))
        self.values, self.n_queries = rising[last], len(rising)
        self._ends = np.append(0, last + 1)
        self._miss = (~hit[order]).astype(np.float64)
        self._cluster = order if cluster is None else cluster[order]

    def counts(self, weights: np.ndarray | None = None) -> Counts:
        """Count up.

        Args:
            weights: (B, clusters) whole numbers; by default each query counts once, and B is 1.
        """
        if weights is None:
            weights = np.ones((1, self._cluster.max() + 1))
        drawn = weights.astype(np.float64).take(self._cluster, axis=1)
        kept = self._up_to_ends(drawn)
        drawn *= self._miss
        return Counts(kept, self._up_to_ends(drawn))

    def _up_to_ends(self, drawn: np.ndarray) -> np.ndarray:
        total = np.empty((len(drawn), self.n_queries + 1))
        total[:, 0] = 0
        np.cumsum(drawn, axis=1, out=total[:, 1:])
        return total if len(self._ends) == total.shape[1] else total.take(self._ends, axis=1)
