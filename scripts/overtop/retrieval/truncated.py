"""Softmax sums over the best K items of a query only, and proven bounds on what the other items can add.

A search index or a search engine returns the best K of N items. Each of the others has at most the similarity s_K of
the last item, so with s_1 the largest similarity their weights sum to at most

    B = (N - K) exp((s_K - s_1) / T)

while those of the K items sum to Z >= 1. Everything follows from `bound` = log(1 + B / Z), which says by how much the
log of the whole sum can exceed that of the K items:

- minus the log of the probability p of the top-1 (or of its group) is too small by at most `bound`: in the worst case
  all of B belongs to rivals;
- p is too small by at most (1 - p) (1 - exp(-bound)): in the best case all of B belongs to the group of the top-1. If
  that group is complete, p is never too small;
- the others have at most the share e = 1 - exp(-bound) of the whole. With H the entropy over the K items, the entropy
  is at least (1 - e) H, since a mixture has at least the mean entropy of its parts, and at most the largest value of
  h(x) + (1 - x) H + x log(N - K) for x <= e, where h(x) is the entropy of "one of the K items or not".

With an offset o_j per item (`retrieval.normalisation`), item j that was not found has at most s_K - o_j, and B is the
sum of exp((s_K - o_j) / T) over those items.

The bounds are those of a list that holds the K most similar items. An approximate index may miss one of them.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from overtop.errors import OvertopError
from overtop.memory import MAX_ARRAY_BYTES, blocks

WORKING_ARRAYS = 8
"""Number of (queries, items) float64 arrays that are in memory at a time."""


class TruncatedSoftmax(NamedTuple):
    """The softmax over the items that were found, for Q queries; each float64 (Q,).

    Attributes:
        neg_log_probability: minus the log of the probability of the top-1's group; at least 0.
        entropy: entropy of the probabilities of the groups, in nats.
        log_partition: log of the sum of exp((s - s_1) / temperature) over the items; at least 0.
        mean_gap: s_1 minus the mean of s under the softmax; at least 0.
        bound: by how much `neg_log_probability` and `log_partition` can increase through the items that were not found;
            0 if all were found, NaN if the size of the gallery is unknown.
    """

    neg_log_probability: np.ndarray
    entropy: np.ndarray
    log_partition: np.ndarray
    mean_gap: np.ndarray
    bound: np.ndarray


def truncated_softmax(
    scores: np.ndarray, n_gallery: int | None, temperature: float, groups: np.ndarray | None = None
) -> TruncatedSoftmax:
    """Return the softmax over the items that were found.

    The term of the top-1, and of its group, is left out of the sums of the others, so that a probability close to 1
    keeps its digits.

    Args:
        scores: (Q, K) similarities, best first. Minus infinity at the end of a row where fewer items were found.
        n_gallery: N, number of items of the gallery; None if unknown.
        temperature: T of the softmax.
        groups: (Q, K) group of each item; None if each is a group of its own.

    Raises:
        OvertopError: more items were found than the gallery has.

    Example:
        >>> softmax = truncated_softmax(np.array([[0.31, 0.30, 0.26]]), n_gallery=1000, temperature=0.01)
        >>> low, high = probability_interval(softmax.neg_log_probability, softmax.bound, is_complete=True)
        >>> print(f"between {low[0]:.2f} and {high[0]:.2f}")
        between 0.12 and 0.73
    """
    scores = np.asarray(scores, dtype=np.float64)
    log_rest = log_weight_not_found(scores, n_gallery, temperature)
    parts = [
        _softmax_of_block(
            scores[rows] / temperature, log_rest[rows], temperature, None if groups is None else groups[rows]
        )
        for rows in blocks(len(scores), 8 * WORKING_ARRAYS * scores.shape[1], MAX_ARRAY_BYTES)
    ]
    return TruncatedSoftmax(*map(np.concatenate, zip(*parts, strict=True)))


def log_weight_not_found(scores: np.ndarray, n_gallery: int | None, temperature: float) -> np.ndarray:
    """Return an upper bound on the log of the sum of exp(s / temperature) over the items that were not found, (Q,).

    Args:
        scores: (Q, K), as in `truncated_softmax`.
        n_gallery: as in `truncated_softmax`.
        temperature: as in `truncated_softmax`.

    Returns:
        Minus infinity if all items were found, NaN if the size of the gallery is unknown.
    """
    if n_gallery is None:
        return np.full(len(scores), np.nan)
    n_found = np.isfinite(scores).sum(axis=1)
    if (n_found > n_gallery).any():
        raise OvertopError(f"{n_found.max()} items were found in a gallery of {n_gallery}; correct the gallery's size")
    last = np.take_along_axis(scores, n_found[:, None] - 1, axis=1)[:, 0]
    with np.errstate(divide="ignore"):
        return np.log(n_gallery - n_found) + last / temperature


def truncated_normalised(
    ids: np.ndarray, scores: np.ndarray, offsets: np.ndarray, temperature: float, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of the top-1 under the softmax of normalised similarities s_j - o_j over the items found.

    Args:
        ids: (Q, K) gallery indices of the items that were found.
        scores: (Q, K) their similarities, best first. The probability is that of the first item.
        offsets: (N,) o_j of all items of the gallery.
        temperature: of the softmax.
        groups: (Q, K) group of each item; None if each is a group of its own.

    Returns:
        Minus the log of the probability of the top-1's group, and its `bound` as in `TruncatedSoftmax`, each (Q,).
    """
    offsets = np.asarray(offsets, dtype=np.float64)
    weights = np.exp((offsets.min() - offsets) / temperature)
    total, n_items = weights.sum(), len(offsets)
    rounding = n_items * np.finfo(np.float64).eps * total  # of the difference of two sums
    results = []
    for rows in blocks(len(ids), 8 * WORKING_ARRAYS * ids.shape[1], MAX_ARRAY_BYTES):
        exponents = (scores[rows].astype(np.float64) - offsets[ids[rows]]) / temperature
        log_mass, log_others = _log_mass_and_others(exponents, None if groups is None else groups[rows])
        if ids.shape[1] == n_items:
            log_rest = np.full(len(exponents), -np.inf)
        else:
            rest = np.maximum(total - weights[ids[rows]].sum(axis=1), 0.0) + rounding
            log_rest = np.log(rest) + (scores[rows, -1].astype(np.float64) - offsets.min()) / temperature
        bound = np.logaddexp(0.0, log_rest - np.logaddexp(log_mass, log_others))
        results.append((np.logaddexp(0.0, log_others - log_mass), bound))
    neg_log_probability, bound = map(np.concatenate, zip(*results, strict=True))
    return neg_log_probability, bound


def probability_interval(
    neg_log_probability: np.ndarray, bound: np.ndarray, *, is_complete: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest probability of the top-1's group over the whole gallery, each (Q,).

    Args:
        neg_log_probability: minus the log of the probability over the items that were found.
        bound: of `TruncatedSoftmax`.
        is_complete: whether no item of the top-1's group can be missing, as where each item is a group of its own.
    """
    low, probability = np.exp(-(neg_log_probability + bound)), np.exp(-neg_log_probability)
    return low, probability + np.where(is_complete, 0.0, np.expm1(-neg_log_probability) * np.expm1(-bound))


def entropy_interval(entropy: np.ndarray, bound: np.ndarray, n_not_found: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest entropy over the whole gallery, in nats, each (Q,).

    Args:
        entropy: of the items that were found.
        bound: of `TruncatedSoftmax`.
        n_not_found: N - K; without those items the interval is `entropy` itself.
    """
    if n_not_found == 0:
        return entropy, entropy
    largest_share = -np.expm1(-bound)
    log_odds = np.log(n_not_found) - entropy  # of the share at which the upper bound is largest
    share = np.minimum(largest_share, 1.0 / (1.0 + np.exp(-log_odds)))
    high = entr(share) + entr(1.0 - share) + (1.0 - share) * entropy + share * np.log(n_not_found)
    return (1.0 - largest_share) * entropy, high


def _softmax_of_block(
    exponents: np.ndarray, log_rest: np.ndarray, temperature: float, groups: np.ndarray | None
) -> TruncatedSoftmax:
    """Return the softmax of exponents s / T (Q, K) with s_1 in the first column."""
    gaps = exponents[:, :1] - exponents
    weights = np.exp(-gaps[:, 1:])
    others = weights.sum(axis=1)
    log_partition = np.log1p(others)
    finite_gaps = np.where(weights > 0, gaps[:, 1:], 0.0)
    mean_gap = temperature * (weights * finite_gaps).sum(axis=1) / (1.0 + others)
    bound = np.log1p(np.exp(log_rest - exponents[:, 0] - log_partition))
    if groups is None:
        entropy = log_partition + mean_gap / temperature
        return TruncatedSoftmax(log_partition, entropy, log_partition, mean_gap, bound)
    log_mass, log_others = _log_mass_and_others(-gaps, groups)
    rest = np.logaddexp(0.0, log_others - log_mass)
    entropy = np.exp(-rest) * rest + _entropy_of_other_groups(-gaps - log_partition[:, None], groups)
    return TruncatedSoftmax(rest, entropy, log_partition, mean_gap, bound)


def _log_mass_and_others(exponents: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the log sums of exp(exponents) over the group of the first column and over all other columns, (Q,)."""
    if groups is None:
        return exponents[:, 0], _log_sum(exponents[:, 1:])
    is_own = groups == groups[:, :1]
    return _log_sum(np.where(is_own, exponents, -np.inf)), _log_sum(np.where(is_own, -np.inf, exponents))


def _log_sum(exponents: np.ndarray) -> np.ndarray:
    """Return log sum exp of each row, (Q,); minus infinity for an empty row."""
    peak = exponents.max(axis=1, initial=-np.inf)
    shift = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(exponents - shift[:, None]).sum(axis=1)) + shift


def _entropy_of_other_groups(log_probabilities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the sum of -p log p over all groups but that of the first column, (Q,), from log probabilities (Q, K)."""
    order = np.argsort(groups, axis=1, kind="stable")
    ascending = np.take_along_axis(groups, order, axis=1)
    is_start = np.ones(groups.shape, dtype=bool)
    is_start[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    starts = np.flatnonzero(is_start)
    probabilities = np.add.reduceat(np.take_along_axis(np.exp(log_probabilities), order, axis=1).ravel(), starts)
    row = starts // groups.shape[1]
    is_other = ascending.ravel()[starts] != groups[row, 0]
    return np.bincount(row[is_other], entr(probabilities[is_other]), minlength=len(groups))
