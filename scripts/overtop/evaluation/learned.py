"""The learned bar: a logistic regression on all estimators, fitted on a labelled split.

An estimator that needs no labels should do at least as well. The regression reads the scores of one posterior and
direction on both splits, standardised by the labelled one, with an L2 penalty of |w|^2 / 2 on the log-loss summed over
queries (the default of scikit-learn).
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from overtop.errors import OvertopError

LEARNED = "learned"
"""Name of the regression where estimators are listed."""

TRAINED_ESTIMATORS = ("probvlm",)
"""Estimators that need training themselves, and are left out."""

_NEWTON_STEPS = 50


def learned_uncertainty(labelled: pd.DataFrame, scores: pd.DataFrame) -> np.ndarray:
    """The probability of a miss of each query by a logistic regression on the estimators that both tables have, (Q,).

    Args:
        labelled: score table to fit on, of one direction and protocol.
        scores: score table to apply it to, of the same direction and protocol; its order of queries is kept.

    Raises:
        OvertopError: the labelled queries are all hits or all misses.
    """
    names = [name for name in scores["estimator"].unique() if name in set(labelled["estimator"])]
    names = [name for name in names if name not in TRAINED_ESTIMATORS]
    train, test = (_features(table, names) for table in (labelled, scores))
    miss = ~labelled[labelled["estimator"] == names[0]]["hit"].to_numpy(dtype=bool)
    if miss.all() or not miss.any():
        raise OvertopError(
            "the labelled split has only hits or only misses; name another split, or null to leave it out"
        )
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale == 0] = 1.0
    weights = fit_logistic_regression((train - mean) / scale, miss)
    return expit(weights[0] + (test - mean) / scale @ weights[1:])


def fit_logistic_regression(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Intercept and weights, (1 + F,), that minimise the log-loss plus half the squared weights, by Newton's method.

    Args:
        features: (Q, F), standardised.
        target: (Q,) bool with both values, or probabilities between 0 and 1.
    """
    design = np.column_stack([np.ones(len(features)), features])
    penalty = np.append(0.0, np.ones(features.shape[1]))
    weights = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        probability = expit(design @ weights)
        gradient = design.T @ (probability - target) + penalty * weights
        curvature = (design.T * (probability * (1 - probability))) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def _features(scores: pd.DataFrame, names: list[str]) -> np.ndarray:
    """The uncertainties of each query under each estimator, (Q, F)."""
    return np.column_stack([scores.loc[scores["estimator"] == name, "uncertainty"] for name in names])
