"""Rankings computed in float64 from a full similarity matrix, for tests of what reads rankings."""

import numpy as np
from scipy.special import logsumexp, softmax

from helpers import oracles
from overtop.estimators.inputs import EstimatorInputs
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.temperature import Temperatures

SCORE_CASES = {
    "CLIP-like": np.random.default_rng(0).normal(0.2, 0.05, (20, 300)),
    "ties": np.repeat([[0.3, 0.3, 0.1], [0.2, 0.2, 0.2]], 2, axis=0),
    "negative": -np.random.default_rng(1).random((5, 40)),
    "one item": np.array([[0.25], [-1.0]]),
    "large margin": np.array([[0.9, 0.1, 0.0]]),
}
"""Similarity matrices (Q, N) by what is special about them."""


def make_ranking(scores, temperatures=(), groups=None):
    """Return the ranking of a similarity matrix (Q, N), with the softmax sums at each of the temperatures.

    Items of a group (N,) belong together; by default no two do.
    """
    scores = np.asarray(scores, dtype=np.float64)
    groups = np.arange(scores.shape[1]) if groups is None else np.asarray(groups)
    order = np.argsort(-scores, axis=1, kind="stable")
    best = scores.max(axis=1, keepdims=True)
    rivals = np.array([oracles.rivals(row, groups, min(4, len(set(groups)) - 1)) for row in scores], dtype=int)
    of_groups = np.array([[oracles.group_softmax(row, groups, t) for t in temperatures] for row in scores])
    of_groups = of_groups.reshape(len(scores), len(temperatures), 2)
    return Ranking(
        query_ids=[str(q) for q in range(len(scores))],
        gallery_ids=[str(j) for j in range(scores.shape[1])],
        top_ids=order.astype(np.int32),
        top_scores=np.take_along_axis(scores, order, axis=1),
        sample_top=order[:, None, :5].astype(np.int32),
        temperatures=tuple(temperatures),
        log_partition=np.array([logsumexp((scores - best) / t, axis=1) for t in temperatures]).T,
        mean_gap=np.array([((best - scores) * softmax(scores / t, axis=1)).sum(axis=1) for t in temperatures]).T,
        groups=groups,
        group_log_partition=of_groups[..., 0],
        group_entropy=of_groups[..., 1],
        rival_ids=rivals,
        rival_scores=np.take_along_axis(scores, rivals, axis=1),
    )


def make_estimator_inputs(scores, temperature, groups=None):
    """Return the estimator inputs of a similarity matrix (Q, N) at one temperature; groups as in `make_ranking`."""
    temperatures = Temperatures(temperature, temperature)
    return EstimatorInputs(make_ranking(scores, (temperature,), groups), temperatures=temperatures)
