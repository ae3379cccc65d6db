"""Estimators that ask how far the query must move before its top-1 changes.

The confidence is the tanh of a length: monotone, so it changes no ranking of queries, only the scale of a plot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from overtop.radius import Radii
    from overtop.ranking import Ranking
    from overtop.terms import Protocol


def adversarial_pgd(ranking: Ranking, radii: Radii | None, protocol: Protocol) -> np.ndarray:
    """The length of the paper's normalised-gradient walk to a flip (Eq. 11-13)."""
    assert radii is not None, "the registry asks for the radii"
    return 1.0 - np.tanh(radii.under(protocol).walk)


def adversarial_linear(ranking: Ranking, radii: Radii | None, protocol: Protocol) -> np.ndarray:
    """The margin of the best two over the length of its gradient (Eq. 14)."""
    assert radii is not None, "the registry asks for the radii"
    return 1.0 - np.tanh(radii.under(protocol).linear)


def adversarial_exact(ranking: Ranking, radii: Radii | None, protocol: Protocol) -> np.ndarray:
    """The exact distance to the nearest flip: the minimum that Eq. 11 asks for."""
    assert radii is not None, "the registry asks for the radii"
    return 1.0 - np.tanh(radii.under(protocol).exact)
