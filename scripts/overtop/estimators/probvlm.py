"""The comparison method of Table 1: the variance that a trained adapter predicts for a query's embedding (ProbVLM)."""

import numpy as np

from overtop.estimators.inputs import EstimatorInputs
from overtop.terms import Protocol


def probvlm(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """Predicted variance of the query's embedding, aleatoric plus epistemic, as a mean over dimensions, (Q,).

    A larger variance is less trustworthy, for texts and for images; this sign is fixed before looking at results. The
    released code ranks texts by the inverse.
    """
    assert inputs.variance is not None, "missing_requirement checks for the adapter"
    return inputs.variance[protocol]
