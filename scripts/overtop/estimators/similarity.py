"""Estimators that use the mean similarity alone: its best values, or its softmax over the gallery.

Under `corrected`, items of a group (captions of one image, exact duplicates) do not compete: rivals are the best items
of other groups, and probabilities are summed over a group. Under `published`, every item competes with every other.

The ranking contains sums that exclude the top-1 (or its group), so that probabilities close to 1 keep their digits.
"""

import numpy as np

from overtop.estimators.inputs import EstimatorInputs
from overtop.terms import Protocol


def top1_similarity(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the mean similarity of the top-1 (Eq. 2), (Q,); the same under both protocols."""
    return 1.0 - top1_scores(inputs)


def margin(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the difference between the similarities of the top-1 and of its best rival, (Q,); 0 without rivals."""
    scores = inputs.ranking.top_scores[:, 1:] if protocol == "published" else inputs.ranking.rival_scores
    if scores.shape[1] == 0:
        return np.zeros(len(scores))
    return 1.0 - (top1_scores(inputs) - scores[:, 0].astype(np.float64))


def entropy(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """Entropy of the softmax over the gallery divided by its maximum, (Q,); 0 in a gallery of one item or group."""
    softmax = inputs.ranking.softmax_at(inputs.temperatures.softmax, protocol)
    if softmax.classes == 1:
        return np.zeros(len(softmax.entropy))
    return np.minimum(softmax.entropy / np.log(softmax.classes), 1.0)


def max_softmax(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the probability of the top-1 (`corrected`: of its group) under the softmax over the gallery, (Q,)."""
    return -np.expm1(-inputs.ranking.softmax_at(inputs.temperatures.softmax, protocol).neg_log_probability)


def energy(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the energy score T ln sum exp(s / T), a smooth maximum of the similarities, (Q,)."""
    temperature = inputs.temperatures.softmax
    log_partition = inputs.ranking.softmax_at(temperature, protocol).log_partition
    return 1.0 - (top1_scores(inputs) + temperature * log_partition)


def top1_scores(inputs: EstimatorInputs) -> np.ndarray:
    """The mean similarity of the top-1, float64 (Q,)."""
    return inputs.ranking.top_scores[:, 0].astype(np.float64)
