"""From the confidence of an estimator to its uncertainty."""

import numpy as np

from overtop.terms import Protocol


def to_uncertainty(confidence: np.ndarray, protocol: Protocol) -> np.ndarray:
    """One minus the confidence, float64 (Q,).

    `published`: the confidence is rounded to float32 first, as in the released code, where queries are tied whose
    confidences differ by less. The difference from one is exact in float64 for confidences above 2^-30, so that the
    uncertainties have the ties and the order of these confidences.

    Args:
        confidence: (Q,) float64, at most 1.
        protocol: `published` or `corrected`.
    """
    return 1.0 - (confidence.astype(np.float32).astype(np.float64) if protocol == "published" else confidence)
