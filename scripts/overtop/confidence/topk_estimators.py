"""Estimators that need only the best items of a query, from a search engine; the softmax is that over these items."""

from typing import NamedTuple

import numpy as np

from overtop.confidence.topk_lists import TopkLists
from overtop.errors import OvertopError, did_you_mean
from overtop.retrieval.other_groups import MISSING, first_of_other_groups
from overtop.retrieval.ranking import MAX_RIVALS
from overtop.retrieval.truncated import probability_interval, truncated_softmax
from overtop.terms import AUTO, SOFTMAX_TEMPERATURE, Metric

TOPK_ESTIMATORS = ("max_softmax", "entropy", "margin", "margin_topk", "top1_similarity")
"""Names of the estimators, the default first."""


class MeasuredLists(NamedTuple):
    """What a confidence model needs of Q queries.

    Attributes:
        uncertainty: (Q,) by estimator.
        p_bound: (Q,) by how much the probability of the top-1 under the softmax can be smaller because of the items
            that are not in the list; NaN if the size of the gallery is unknown.
        tied: (Q,) number of items that are as similar as the top-1, itself included, without those of its group.
    """

    uncertainty: dict[str, np.ndarray]
    p_bound: np.ndarray
    tied: np.ndarray


def measure_lists(
    lists: TopkLists, groups: np.ndarray | None, n_gallery: int | None, temperature: float
) -> MeasuredLists:
    """Compute all estimators from lists of the best items.

    Args:
        lists: of equal length, unless the gallery has fewer items.
        groups: (Q, K) group of each item; None if no two belong together.
        n_gallery: N, number of items of the gallery; None if unknown.
        temperature: T of the softmax.
    """
    similarity = lists.similarity
    softmax = truncated_softmax(similarity, n_gallery, temperature, groups)
    probability = np.exp(-softmax.neg_log_probability)
    low, _ = probability_interval(softmax.neg_log_probability, softmax.bound)
    first, rivals = similarity[:, 0], best_rivals(similarity, groups)
    width = np.log(max(similarity.shape[1], 2))
    is_own = np.zeros(similarity.shape, dtype=bool) if groups is None else groups == groups[:, :1]
    is_own[:, 0] = False
    return MeasuredLists(
        {
            "max_softmax": -np.expm1(-softmax.neg_log_probability),
            "entropy": np.minimum(softmax.entropy / width, 1.0),
            "margin": 1.0 - (first - rivals[:, 0]) if rivals.shape[1] else np.zeros(len(first)),
            "margin_topk": 1.0 - (first - rivals.mean(axis=1)) if rivals.shape[1] else np.zeros(len(first)),
            "top1_similarity": 1.0 - first,
        },
        probability - low,
        ((similarity == first[:, None]) & ~is_own).sum(axis=1),
    )


def best_rivals(similarity: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the similarities of the best item of each of the best other groups, (Q, R); R is at most `MAX_RIVALS`.

    Where a list has fewer groups its last item stands for the further ones: no other item is more similar.

    Args:
        similarity: (Q, K), best first; minus infinity where a list has ended.
        groups: (Q, K) group of each item; None if no two belong together.
    """
    last = np.where(np.isfinite(similarity), similarity, np.inf).min(axis=1)
    count = min(MAX_RIVALS, similarity.shape[1] - 1)
    if groups is None:
        rivals = similarity[:, 1 : count + 1]
    else:
        positions = first_of_other_groups(groups, count)
        rivals = np.where(positions == MISSING, -np.inf, np.take_along_axis(similarity, positions, axis=1))
    return np.where(np.isfinite(rivals), rivals, last[:, None])


def check_estimators(estimator: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the names of the estimators to compare: the given ones, all for `auto`, or by default max_softmax.

    Raises:
        OvertopError: an estimator needs more than the best items, or is unknown.
    """
    if estimator is None:
        return TOPK_ESTIMATORS[:1]
    if estimator == AUTO:
        return TOPK_ESTIMATORS
    names = (estimator,) if isinstance(estimator, str) else tuple(estimator)
    for name in names:
        if name not in TOPK_ESTIMATORS:
            raise OvertopError(
                f"estimator: {name!r} cannot be computed from the best items of a search engine; "
                f"{did_you_mean(name, TOPK_ESTIMATORS)}"
            )
    return names


def check_temperature(temperature: float | None, metric: Metric) -> float:
    """Return the temperature of the softmax, by default that of CLIP for vectors of length 1.

    Raises:
        OvertopError: it is not positive, or there is no default for the metric.
    """
    if temperature is None and metric == "inner_product":
        raise OvertopError(
            "temperature: is needed with metric='inner_product'; 0.01 is that of CLIP for vectors of length 1, "
            "and scales with the products"
        )
    temperature = SOFTMAX_TEMPERATURE if temperature is None else float(temperature)
    if not 0 < temperature < np.inf:
        raise OvertopError(f"temperature: is {temperature}; give a number above 0, such as 0.01")
    return temperature
