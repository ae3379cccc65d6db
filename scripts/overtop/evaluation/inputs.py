"""Validation of uncertainties and hits, and the columns of the score table that hold hits and ranks."""

import numpy as np

from overtop.errors import OvertopError

HIT_COLUMNS = {"labelled": "hit", "extended": "hit_extended"}
"""Column of the score table that holds the hits, by set of positives."""

RANK_COLUMNS = {"labelled": "rank", "extended": "rank_extended"}
"""Column of the score table that holds the rank of the best positive, by set of positives."""


def validate_scores(uncertainty: np.ndarray, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the uncertainty as float64 (Q,) and the hits as bool (Q,).

    Raises:
        OvertopError: there are no queries, the shapes differ, or an uncertainty is not finite.
    """
    uncertainty, hit = np.asarray(uncertainty, dtype=np.float64), np.asarray(hit, dtype=bool)
    if uncertainty.ndim != 1 or uncertainty.shape != hit.shape:
        raise OvertopError(
            f"uncertainty has shape {uncertainty.shape} and hit {hit.shape}; give one of each per query, as flat arrays"
        )
    if not uncertainty.size:
        raise OvertopError("there are no queries to evaluate; check that the split of the data set is not empty")
    invalid = np.flatnonzero(~np.isfinite(uncertainty))
    if invalid.size:
        raise OvertopError(
            f"the uncertainty of query number {invalid[0]} is {uncertainty[invalid[0]]} ({invalid.size} such queries); "
            "run the score rule again, every uncertainty must be a finite number"
        )
    return uncertainty, hit
