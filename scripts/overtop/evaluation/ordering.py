"""Queries sorted by uncertainty, and their cumulative counts under bootstrap weights.

A bootstrap resample is an integer weight for each query: weight w stands for w copies of the query, which have equal
uncertainty. Every measure that depends only on the order of the queries is a function of the cumulative numbers of
queries and of misses at the ends of the groups of equal uncertainty.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class CumulativeCounts:
    """Numbers of queries and of misses in the g most certain of G groups, g = 0, ..., G, under B weightings.

    All numbers are integers, stored as float64.

    Attributes:
        n_queries: (B, G + 1), queries in the first g groups.
        n_misses: (B, G + 1), misses among them.
    """

    n_queries: np.ndarray
    n_misses: np.ndarray

    @cached_property
    def group_sizes(self) -> np.ndarray:
        """(B, G), queries of each group; 0 where the resample has none of them."""
        return np.diff(self.n_queries, axis=1)

    @cached_property
    def group_misses(self) -> np.ndarray:
        """(B, G), misses of each group."""
        return np.diff(self.n_misses, axis=1)

    @cached_property
    def area_under_misses(self) -> np.ndarray:
        """(B,), area under the number of misses over the number of queries, by the trapezoidal rule."""
        below = np.einsum("bg,bg->b", self.group_sizes, self.n_misses[:, :-1])
        return below + np.einsum("bg,bg->b", self.group_sizes, self.group_misses) / 2

    @property
    def total(self) -> np.ndarray:
        """(B,), all queries."""
        return self.n_queries[:, -1]

    @property
    def total_misses(self) -> np.ndarray:
        """(B,), all misses."""
        return self.n_misses[:, -1]


class SortedQueries:
    """Q queries, sorted once by uncertainty so that they can be counted under many weightings.

    Attributes:
        distinct: (G,) the distinct uncertainties, ascending.
        n_queries: Q.
    """

    def __init__(self, uncertainty: np.ndarray, hit: np.ndarray, cluster: np.ndarray | None = None) -> None:
        """Sort the queries.

        Args:
            uncertainty: (Q,) finite.
            hit: (Q,) bool.
            cluster: (Q,) index of the weight of each query; by default every query has its own weight.
        """
        order = np.argsort(uncertainty, kind="stable")
        ascending = uncertainty[order]
        last_of_group = np.flatnonzero(np.append(ascending[1:] != ascending[:-1], True))
        self.distinct, self.n_queries = ascending[last_of_group], len(ascending)
        self._group_ends = np.append(0, last_of_group + 1)
        self._order = order
        self._miss = (~hit[order]).astype(np.float64)
        self._cluster = order if cluster is None else cluster[order]

    def count(self, weights: np.ndarray | None = None) -> CumulativeCounts:
        """Count queries and misses cumulatively.

        Args:
            weights: (B, clusters) integers; by default each query counts once and B is 1.
        """
        if weights is None:
            weights = np.ones((1, self._cluster.max() + 1))
        copies = weights.astype(np.float64).take(self._cluster, axis=1)
        n_queries = self._sum_to_group_ends(copies)
        copies *= self._miss
        return CumulativeCounts(n_queries, self._sum_to_group_ends(copies))

    def sum_cumulatively(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sum values over the queries of the first g groups, g = 0, ..., G.

        Args:
            values: (Q,), in the order that the queries were given in.
            weights: (B, clusters) integers.

        Returns:
            (B, G + 1).
        """
        copies = weights.astype(np.float64).take(self._cluster, axis=1)
        copies *= values[self._order]
        return self._sum_to_group_ends(copies)

    def _sum_to_group_ends(self, copies: np.ndarray) -> np.ndarray:
        sums = np.empty((len(copies), self.n_queries + 1))
        sums[:, 0] = 0
        np.cumsum(copies, axis=1, out=sums[:, 1:])
        return sums if len(self._group_ends) == sums.shape[1] else sums.take(self._group_ends, axis=1)
