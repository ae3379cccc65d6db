"""The inputs of the estimators: everything that was measured for the queries of one direction under one posterior."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from overtop.radius.radii import Radii
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.temperature import Temperatures
from overtop.terms import Protocol


@dataclass(frozen=True)
class EstimatorInputs:
    """Measurements for the Q queries of one direction.

    Attributes:
        ranking: the ranking of the gallery for every query.
        radii: radii of the same queries; required by the adversarial estimators.
        variance: by protocol, the (Q,) variance that a trained adapter predicts; required by `probvlm`.
        temperatures: temperatures of the softmax over the gallery; the ranking must contain its sums at these.
    """

    ranking: Ranking
    radii: Radii | None = None
    variance: Mapping[Protocol, np.ndarray] | None = None
    temperatures: Temperatures = Temperatures()
