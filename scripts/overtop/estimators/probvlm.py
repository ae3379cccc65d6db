"""The comparison row of Table 1: the variance that a trained adapter gives to a query's embedding."""

from __future__ import annotations

import numpy as np

from overtop.estimators.evidence import Evidence
from overtop.terms import Protocol


def probvlm(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """Predicted variance of the query's embedding, its mean over dimensions: aleatoric plus epistemic.

    The sign is fixed beforehand: a larger variance is less trustworthy, for texts and for images. (The release ranks
    texts by the inverse.)
    """
    assert evidence.spread is not None, "the registry asks for the spread"
    return evidence.spread[protocol]
