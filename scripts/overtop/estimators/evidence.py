"""What estimators read: all that is known of the queries of one direction under one posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # both import HDF5 behind them
    from overtop.radius import Radii
    from overtop.ranking import Ranking
    from overtop.terms import Protocol

SOFTMAX, DIRICHLET = 0.01, 0.07


@dataclass(frozen=True)
class Temperatures:
    """Temperatures of the softmax over a gallery.

    Attributes:
        softmax: of `entropy`, `max_softmax` and `energy`; CLIP itself was trained at 0.01.
        dirichlet: of the Dirichlet estimators, tau' of UCAT.
    """

    softmax: float = SOFTMAX
    dirichlet: float = DIRICHLET


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
