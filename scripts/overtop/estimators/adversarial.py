"""Estimators based on how far the query embedding must move before its top-1 changes.

The confidence is the tanh of a length. It is monotone, so it changes only the scale of plots, not the order of queries.
"""

import numpy as np

from overtop.estimators.confidence import to_uncertainty
from overtop.estimators.inputs import EstimatorInputs
from overtop.radius.radii import Radii
from overtop.terms import Protocol


def adversarial_pgd(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the tanh of the length of the paper's normalised-gradient walk (Eq. 11-13), (Q,); `published` only."""
    return to_uncertainty(np.tanh(_get_radii(inputs).published_radius().walk), protocol)


def adversarial_linear(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the tanh of the margin of the best two items divided by the norm of its gradient (Eq. 14), (Q,).

    Defined under `published` only.
    """
    return to_uncertainty(np.tanh(_get_radii(inputs).published_radius().linear), protocol)


def adversarial_exact(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the tanh of the exact distance to the nearest change of the top-1, the minimum of Eq. 11, (Q,)."""
    return to_uncertainty(np.tanh(_get_radii(inputs).under(protocol).exact), protocol)


def _get_radii(inputs: EstimatorInputs) -> Radii:
    assert inputs.radii is not None, "missing_requirement checks for the radii"
    return inputs.radii
