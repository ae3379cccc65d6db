"""Similarities that are normalised per gallery item: what the ranking pass is given, and what it returns.

Some gallery items are similar to everything ("hubs"): they come first for many queries and are right for few. An offset
per item, in units of similarity, corrects for that: the normalised similarity of a query to item j is s_j - o_j.
`retrieval.bank` computes offsets from a bank of unlabelled queries. This module has no heavy imports, so that rankings
are read without torch.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Normalisation(NamedTuple):
    """Offsets of the N gallery items of one direction, for one ranking pass.

    Attributes:
        temperature: T of the softmax over the normalised similarities, exp((s_j - o_j) / T).
        offsets: by name of the normalisation, float32 (N,), o_j in units of similarity, in the order of the gallery.
    """

    temperature: float
    offsets: Mapping[str, np.ndarray]


class NormalisedRanking(NamedTuple):
    """What the ranking pass keeps of the normalised similarities of Q queries, for one normalisation.

    Attributes:
        neg_log_probability: float64 (Q,), minus the log of the probability of the top-1 by the similarities themselves,
            under the softmax of the normalised similarities, summed over the items of its group; at least 0.
        top_ids: int32 (Q, K), gallery indices of the best items by normalised similarity, best first (K at most 10).
    """

    neg_log_probability: np.ndarray
    top_ids: np.ndarray
