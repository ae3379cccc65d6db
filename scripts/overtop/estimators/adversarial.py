"""Estimators that ask how far the query must move before its top-1 changes.

The confidence is the tanh of a length: monotone, so it changes no ranking of queries, only the scale of a plot.
"""

from __future__ import annotations

import numpy as np

from overtop.estimators.evidence import Evidence
from overtop.radius.radii import Radius
from overtop.terms import Protocol


def adversarial_pgd(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """The length of the paper's normalised-gradient walk to a flip (Eq. 11-13)."""
    return 1.0 - np.tanh(_radius(evidence, protocol).walk)


def adversarial_linear(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """The margin of the best two over the length of its gradient (Eq. 14)."""
    return 1.0 - np.tanh(_radius(evidence, protocol).linear)


def adversarial_exact(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """The exact distance to the nearest flip: the minimum that Eq. 11 asks for."""
    return 1.0 - np.tanh(_radius(evidence, protocol).exact)


def _radius(evidence: Evidence, protocol: Protocol) -> Radius:
    assert evidence.radii is not None, "the registry asks for the radii"
    return evidence.radii.under(protocol)
