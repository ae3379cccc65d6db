"""What estimators read: all that is known of the queries of one direction under one posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from overtop.radius.radii import Radii
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.temperature import Temperatures
from overtop.terms import Protocol


@dataclass(frozen=True)
class Evidence:
    """What is known of Q queries.

    Attributes:
        ranking: of their direction.
        radii: of the same ranking, for the adversarial estimators.
        spread: by protocol the (Q,) variance that a trained adapter gives each query, for `probvlm`.
        temperatures: at which the ranking kept the softmax over the gallery.
    """

    ranking: Ranking
    radii: Radii | None = None
    spread: Mapping[Protocol, np.ndarray] | None = None
    temperatures: Temperatures = Temperatures()
