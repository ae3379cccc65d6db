"""Estimators that use the mean similarity alone: its best two values, or its softmax over the gallery.

The ranking contains L = ln sum_j exp((s_j - s_1) / T) and the gap g = s_1 - E_p[s], where s_1 is the largest similarity
and p = softmax(s / T). Both are 0 or more and computed without cancellation. From these follow max p = exp(-L), the
entropy L + g / T, and the energy score T ln sum_j exp(s_j / T) = s_1 + T L.
"""

import numpy as np

from overtop.estimators.inputs import EstimatorInputs
from overtop.terms import Protocol


def top1_similarity(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the mean similarity of the top-1 (Eq. 2), (Q,); the same under both protocols."""
    return 1.0 - top1_scores(inputs)


def margin(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the difference between the best two similarities, (Q,); 0 in a gallery of one item."""
    scores = inputs.ranking.top_scores.astype(np.float64)
    return 1.0 - (scores[:, 0] - scores[:, 1]) if scores.shape[1] > 1 else np.zeros(len(scores))


def entropy(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """Entropy of the softmax over the gallery divided by its maximum ln N, (Q,); 0 in a gallery of one item."""
    temperature = inputs.temperatures.softmax
    log_partition, mean_gap = inputs.ranking.softmax_at(temperature)
    size = len(inputs.ranking.gallery_ids)
    return np.minimum((log_partition + mean_gap / temperature) / np.log(size), 1.0) if size > 1 else 0.0 * mean_gap


def max_softmax(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the largest probability of the softmax over the gallery, (Q,)."""
    return -np.expm1(-inputs.ranking.softmax_at(inputs.temperatures.softmax)[0])


def energy(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the energy score T ln sum exp(s / T), a smooth maximum of the similarities, (Q,)."""
    temperature = inputs.temperatures.softmax
    return 1.0 - (top1_scores(inputs) + temperature * inputs.ranking.softmax_at(temperature)[0])


def top1_scores(inputs: EstimatorInputs) -> np.ndarray:
    """The mean similarity of the top-1, float64 (Q,)."""
    return inputs.ranking.top_scores[:, 0].astype(np.float64)
