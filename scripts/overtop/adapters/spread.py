"""The predicted variance of each query's embedding, and its file. Reading it does not import torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from overtop.errors import OvertopError
from overtop.retrieval.ranking import Ranking
from overtop.storage.arrays import decode_strings, encode_strings, read_arrays, write_arrays
from overtop.terms import DIRECTIONS, PROTOCOLS, Direction, Protocol

SCHEMA = "spread/1"


@dataclass(frozen=True)
class Spread:
    """Predicted variance of Q queries.

    Attributes:
        query_ids: Q names: captions for t2i, images for i2t.
        variance: by protocol that adapters were trained under, (Q,) float64; higher is less trustworthy.
    """

    query_ids: list[str]
    variance: Mapping[Protocol, np.ndarray]

    def variance_for(self, ranking: Ranking) -> Mapping[Protocol, np.ndarray]:
        """The variances of a ranking's queries, which are these or, of a sample of the split, some of them in order.

        Raises:
            OvertopError: the ranking has other queries, or in another order.
        """
        if self.query_ids == ranking.query_ids:
            return self.variance
        row_of_query = {query_id: row for row, query_id in enumerate(self.query_ids)}
        rows = np.array([row_of_query.get(query_id, -1) for query_id in ranking.query_ids], dtype=np.int64)
        if (rows < 0).any() or (np.diff(rows) < 0).any():
            raise OvertopError(
                "the spread and the ranking contain different queries, or the same in another order; delete the older "
                "file and run the same command again"
            )
        return {protocol: variance[rows] for protocol, variance in self.variance.items()}


def write_spread(path: str | Path, spreads: Mapping[Direction, Spread], attributes: Mapping[str, Any]) -> None:
    """Write the spreads of both directions and their provenance (JSON-serialisable) to one HDF5 file, atomically."""
    arrays = {}
    for direction, spread in spreads.items():
        arrays[f"{direction}/query_ids"] = encode_strings(spread.query_ids)
        for protocol, variance in spread.variance.items():
            arrays[f"{direction}/{protocol}"] = variance
    write_arrays(path, SCHEMA, arrays, attributes)


def read_spread(path: str | Path) -> tuple[dict[Direction, Spread], dict[str, Any]]:
    """Read the spreads and the provenance that `write_spread` wrote.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has another schema.
    """
    arrays, attributes = read_arrays(path, SCHEMA)
    spreads = {
        direction: Spread(
            decode_strings(arrays[f"{direction}/query_ids"]),
            {name: arrays[f"{direction}/{name}"] for name in PROTOCOLS if f"{direction}/{name}" in arrays},
        )
        for direction in DIRECTIONS
        if f"{direction}/query_ids" in arrays
    }
    return spreads, attributes
