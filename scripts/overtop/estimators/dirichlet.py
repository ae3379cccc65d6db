"""Estimators that read the similarities of a frozen CLIP as a Dirichlet distribution over the gallery (UCAT).

The concentration of item j is alpha_j = 1e-6 + exp((s_j + 1) / T). Their sum alpha_0 follows from the softmax sums in
the ranking. At UCAT's temperature every alpha_j with weight is in the thousands or more, where
psi(x + 1) = ln x + 1 / (2x) is accurate. The classes are the items of the gallery; under `corrected` its groups, whose
concentrations are the sums of those of their items (components of a Dirichlet distribution add up to one).
"""

import numpy as np

from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.similarity import top1_scores
from overtop.retrieval.ranking import Softmax
from overtop.terms import CONCENTRATION_OFFSET, Protocol


def dirichlet_entropy(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """Aleatoric uncertainty: the expected entropy of the categorical distribution, in nats, (Q,).

    -sum_j (alpha_j / alpha_0) (psi(alpha_j + 1) - psi(alpha_0 + 1)). With the approximation of psi above this is the
    entropy of the softmax minus (K - 1) / (2 alpha_0) for K classes; the tests compare it with the digamma function to
    1e-6.
    """
    softmax = inputs.ranking.softmax_at(inputs.temperatures.dirichlet, protocol)
    entropy = softmax.entropy - (softmax.classes - 1) / (2.0 * _total_concentration(inputs, softmax))
    return np.maximum(entropy, 0.0)


def dirichlet_vacuity(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """Epistemic uncertainty K / (alpha_0 + K) for K classes: how little evidence the gallery provides, (Q,)."""
    softmax = inputs.ranking.softmax_at(inputs.temperatures.dirichlet, protocol)
    return softmax.classes / (_total_concentration(inputs, softmax) + softmax.classes)


def _total_concentration(inputs: EstimatorInputs, softmax: Softmax) -> np.ndarray:
    """alpha_0, (Q,)."""
    offset = CONCENTRATION_OFFSET * len(inputs.ranking.gallery_ids)
    return offset + np.exp((top1_scores(inputs) + 1.0) / inputs.temperatures.dirichlet + softmax.log_partition)
