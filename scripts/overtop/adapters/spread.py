"""How widely adapters spread each query's embedding, and the file that keeps it. No network is needed to read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from overtop.errors import OvertopError
from overtop.retrieval.ranking import Ranking
from overtop.storage.arrays import decode, encode, read_arrays, write_arrays
from overtop.terms import DIRECTIONS, PROTOCOLS, Direction, Protocol

SCHEMA = "spread/1"


@dataclass(frozen=True)
class Spread:
    """Predicted variance of Q queries.

    Attributes:
        query_ids: Q names: captions for t2i, images for i2t.
        variance: by protocol (Q,) float64, higher is less trustworthy.
    """

    query_ids: list[str]
    variance: Mapping[Protocol, np.ndarray]

    def of_queries(self, ranking: Ranking) -> Mapping[Protocol, np.ndarray]:
        """The variances of a ranking's queries, in its order.

        Raises:
            OvertopError: the ranking has other queries.
        """
        if self.query_ids != ranking.query_ids:
            raise OvertopError(
                "the spread and the ranking are of different queries, or in another order; delete the older file and "
                "run the same command again"
            )
        return self.variance


def write_spread(path: str | Path, spreads: Mapping[Direction, Spread], attributes: Mapping[str, Any]) -> None:
    """Write the spread of both directions' queries with its provenance (JSON-able) to one HDF5 file."""
    arrays = {}
    for direction, spread in spreads.items():
        arrays[f"{direction}/query_ids"] = encode(spread.query_ids)
        for protocol, variance in spread.variance.items():
            arrays[f"{direction}/{protocol}"] = variance
    write_arrays(path, SCHEMA, arrays, attributes)


def read_spread(path: str | Path) -> tuple[dict[Direction, Spread], dict[str, Any]]:
    """The spreads and attributes that `write_spread` wrote.

    Raises:
        OvertopError: the file is missing, truncated, altered, or of another kind.
    """
    arrays, attributes = read_arrays(path, SCHEMA)
    spreads = {
        direction: Spread(
            decode(arrays[f"{direction}/query_ids"]),
            {protocol: arrays[f"{direction}/{protocol}"] for protocol in PROTOCOLS},
        )
        for direction in DIRECTIONS
    }
    return spreads, attributes
