"""UCAT's view of a frozen CLIP: the gallery as classes, alpha_j = 1e-6 + exp((s_j + 1)/T) as Dirichlet evidence.

The strength alpha_0 = sum_j alpha_j follows from what the ranking keeps of the softmax at T. At UCAT's temperature the
alphas that weigh anything are in the thousands or more, so the digamma function is its logarithm and one term more.
"""

from __future__ import annotations

import numpy as np

from overtop.estimators.evidence import Evidence
from overtop.estimators.similarity import best
from overtop.terms import Protocol

OFFSET = 1e-6


def dirichlet_entropy(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """Aleatoric uncertainty: the expected entropy of the categorical, in nats.

    -sum_j (alpha_j/alpha_0) (psi(alpha_j + 1) - psi(alpha_0 + 1)), with psi(x + 1) = ln x + 1/(2x): the entropy of the
    softmax less (N - 1)/(2 alpha_0). Held to the digamma function to 1e-6 in the tests.
    """
    temperature = evidence.temperatures.dirichlet
    log_partition, mean_gap = evidence.ranking.softmax_at(temperature)
    classes = len(evidence.ranking.gallery_ids)
    return np.maximum(log_partition + mean_gap / temperature - (classes - 1) / (2.0 * _strength(evidence)), 0.0)


def dirichlet_vacuity(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """Epistemic uncertainty N/(alpha_0 + N): how little evidence the gallery gives at all."""
    classes = len(evidence.ranking.gallery_ids)
    return classes / (_strength(evidence) + classes)


def _strength(evidence: Evidence) -> np.ndarray:
    """alpha_0, (Q,)."""
    temperature = evidence.temperatures.dirichlet
    log_partition, _ = evidence.ranking.softmax_at(temperature)
    return OFFSET * len(evidence.ranking.gallery_ids) + np.exp((best(evidence) + 1.0) / temperature + log_partition)
