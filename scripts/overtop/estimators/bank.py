"""Estimators that compare the similarities with those of a bank of unlabelled queries, so that hubs count less.

A gallery item that is similar to everything comes first for many queries and is right for few. The similarities are
normalised per item (`retrieval.bank`), and the probability of the top-1, the item with the largest similarity as it is,
is read off the softmax over the gallery. Items of one group do not compete: their probabilities are summed.
"""

import numpy as np

from overtop.estimators.inputs import EstimatorInputs
from overtop.terms import Protocol


def bank_softmax(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the probability of the top-1 by s_j / T - 1/2 log sum_b exp(s(b, j) / T) over bank queries b, (Q,)."""
    return _uncertainty(inputs, "bank_softmax")


def bank_nnn(inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """One minus the probability of the top-1 by s_j minus 0.75 of item j's mean similarity to its 16 nearest, (Q,)."""
    return _uncertainty(inputs, "bank_nnn")


def _uncertainty(inputs: EstimatorInputs, name: str) -> np.ndarray:
    return -np.expm1(-inputs.ranking.normalised[name].neg_log_probability)
