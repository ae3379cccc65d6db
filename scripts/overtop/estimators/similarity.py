"""Estimators that read the mean similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from overtop.radius import Radii
    from overtop.ranking import Ranking
    from overtop.terms import Protocol


def top1_similarity(ranking: Ranking, radii: Radii | None, protocol: Protocol) -> np.ndarray:
    """One minus the mean similarity of the top-1 item (Eq. 2); the same under both protocols."""
    return 1.0 - ranking.top_scores[:, 0].astype(np.float64)
