"""Estimators that read the mean similarity: its best two values, and its softmax over the gallery.

With L = log sum_j exp((s_j - s_(1))/T) and the gap g = s_(1) - E_p[s], which the ranking keeps (both are 0 or more, and
lose no digits), all that is asked of p = softmax(s/T) follows: max p = exp(-L), the entropy is L + g/T, and the energy
score T log sum_j exp(s_j/T) is s_(1) + T L.
"""

from __future__ import annotations

import numpy as np

from overtop.estimators.evidence import Evidence
from overtop.terms import Protocol


def top1_similarity(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """One minus the mean similarity of the top-1 item (Eq. 2); the same under both protocols."""
    return 1.0 - best(evidence)


def margin(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """One minus the gap between the best two similarities; 0 in a gallery of one item, which has no rival."""
    scores = evidence.ranking.top_scores.astype(np.float64)
    return 1.0 - (scores[:, 0] - scores[:, 1]) if scores.shape[1] > 1 else np.zeros(len(scores))


def entropy(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """Entropy of the softmax over the gallery as a share of its largest value ln N; 0 in a gallery of one item."""
    temperature = evidence.temperatures.softmax
    log_partition, mean_gap = evidence.ranking.softmax_at(temperature)
    size = len(evidence.ranking.gallery_ids)
    return np.minimum((log_partition + mean_gap / temperature) / np.log(size), 1.0) if size > 1 else 0.0 * mean_gap


def max_softmax(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """One minus the largest probability of the softmax over the gallery."""
    return -np.expm1(-evidence.ranking.softmax_at(evidence.temperatures.softmax)[0])


def energy(evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """One minus the energy score T log sum exp(s/T), a smooth maximum of the similarities."""
    temperature = evidence.temperatures.softmax
    return 1.0 - (best(evidence) + temperature * evidence.ranking.softmax_at(temperature)[0])


def best(evidence: Evidence) -> np.ndarray:
    """The mean similarity of the top-1 item, float64 (Q,)."""
    return evidence.ranking.top_scores[:, 0].astype(np.float64)
