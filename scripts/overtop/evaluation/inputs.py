"""What every evaluation asks of an uncertainty and its hits."""

import numpy as np

from overtop.errors import OvertopError


def checked(uncertainty: np.ndarray, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The uncertainty as float64 (Q,) and the hits as bool (Q,).

    Raises:
        OvertopError: there is no query, the shapes differ, or an uncertainty is not finite.
    """
    uncertainty, hit = np.asarray(uncertainty, dtype=np.float64), np.asarray(hit, dtype=bool)
    if uncertainty.ndim != 1 or uncertainty.shape != hit.shape:
        raise OvertopError(
            f"uncertainty has shape {uncertainty.shape} and hit {hit.shape}; give one of each per query, as flat arrays"
        )
    if not uncertainty.size:
        raise OvertopError("there are no queries to evaluate; look at the data set's split")
    broken = np.flatnonzero(~np.isfinite(uncertainty))
    if broken.size:
        raise OvertopError(
            f"the uncertainty of query number {broken[0]} is {uncertainty[broken[0]]} ({broken.size} such queries); "
            "score them again, an uncertainty is a finite number"
        )
    return uncertainty, hit
