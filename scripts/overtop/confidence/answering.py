"""Answers of new queries: the top-1, the probability that it is right, whether to act on it, and what is promised."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import kstwobign

from overtop.confidence.model import QUANTILE_LEVELS, ConfidenceModel
from overtop.errors import OvertopError
from overtop.labels import format_count

COLUMNS = ["query", "top1", "similarity", "uncertainty", "p_right", "act", "warning"]
"""Columns of the table of answers."""

OUTER_LEVELS = (0.005, 0.995)
"""Levels of the quantiles of similarity outside of which a query gets a warning."""

DRIFT_P_VALUE = 0.001
"""Largest p-value of the Kolmogorov-Smirnov test at which a batch of queries is said to differ from the labelled."""

DRIFT_DISTANCE = 0.1
"""Smallest distance of the distributions that is worth a warning; large batches differ significantly by less."""


def answer_queries(
    model: ConfidenceModel,
    uncertainty: np.ndarray,
    similarity: np.ndarray,
    query_ids: Sequence[str],
    top1_ids: Sequence[str],
    *,
    precision: float | None = None,
    coverage: float | None = None,
    gallery_fingerprint: str | None = None,
    tied: np.ndarray | None = None,
    stacklevel: int = 1,
) -> pd.DataFrame:
    """Return the answers of new queries.

    Args:
        model: the confidence model.
        uncertainty: (Q,) of the model's estimator.
        similarity: (Q,) of the top-1.
        query_ids: Q names.
        top1_ids: Q names of the top-1.
        precision: act if the uncertainty is below the threshold of this precision; by default the model's first. A
            model without labels acts on nothing.
        coverage: act on this share of the batch instead, the most certain queries; nothing is promised.
        gallery_fingerprint: of the gallery in use, to compare with that of the model; None if unknown.
        tied: (Q,) number of gallery items of the same similarity as the top-1, itself included; None if unknown.
        stacklevel: whose line the warnings show: 1 is that of the caller, 2 that of its caller.

    Returns:
        Columns `COLUMNS`. `p_right`: probability that the top-1 is right; `act`: whether to act on it; `warning`: a
        fact of this query that makes its answer doubtful, else empty.

    Raises:
        OvertopError: arrays of different length, a number that is not finite, a precision without a threshold, or both
            a precision and a coverage.

    Warns:
        UserWarning: each of `batch_warnings`.

    Example:
        >>> from overtop.confidence.fitting import model_without_labels
        >>> from overtop.confidence.model import ModelFacts
        >>> model = model_without_labels("max_softmax", ModelFacts(gallery_size=10))
        >>> u, s = np.array([0.1, 0.7]), np.array([0.3, 0.2])
        >>> answers = answer_queries(model, u, s, ["a", "b"], ["cat", "dog"], coverage=0.5)
        >>> answers[["query", "top1", "p_right", "act"]].values.tolist()
        [['a', 'cat', 0.9, True], ['b', 'dog', 0.30000000000000004, False]]
    """
    answers = tabulate_answers(
        model, uncertainty, similarity, query_ids, top1_ids, precision=precision, coverage=coverage, tied=tied
    )
    for text in batch_warnings(model, answers["similarity"].to_numpy(), gallery_fingerprint):
        warnings.warn(text, stacklevel=stacklevel + 1)
    return answers


def tabulate_answers(
    model: ConfidenceModel,
    uncertainty: np.ndarray,
    similarity: np.ndarray,
    query_ids: Sequence[str],
    top1_ids: Sequence[str],
    *,
    precision: float | None = None,
    coverage: float | None = None,
    tied: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the answers of `answer_queries` for a part of a batch, without the warnings on the whole of it.

    Raises:
        OvertopError: as `answer_queries`.
    """
    uncertainty, similarity = np.asarray(uncertainty, np.float64), np.asarray(similarity, np.float64)
    _check_arrays(uncertainty, similarity, query_ids, top1_ids)
    return pd.DataFrame(
        {
            "query": list(query_ids),
            "top1": list(top1_ids),
            "similarity": similarity,
            "uncertainty": uncertainty,
            "p_right": model.mapping.probability(uncertainty),
            "act": choose_answered(model, uncertainty, precision, coverage),
            "warning": row_warnings(model, similarity, tied),
        }
    )[COLUMNS]


def choose_answered(
    model: ConfidenceModel, uncertainty: np.ndarray, precision: float | None = None, coverage: float | None = None
) -> np.ndarray:
    """Return whether to act on each query, (Q,) bool; see `answer_queries`.

    With a coverage, queries that are as uncertain as the last one acted on are acted on only if all of them fit.
    """
    if precision is not None and coverage is not None:
        raise OvertopError("give a precision or a coverage, not both: a coverage promises no precision")
    if coverage is not None:
        if not 0 < coverage <= 1:
            raise OvertopError(f"coverage is {coverage}; give a share above 0 and at most 1")
        distinct, position, counts = np.unique(uncertainty, return_inverse=True, return_counts=True)
        return np.cumsum(counts)[position] <= coverage * len(uncertainty) + 1e-9
    precision = model.default_precision if precision is None else precision
    if precision is None:
        return np.zeros(len(uncertainty), dtype=bool)
    return uncertainty < model.threshold(precision).threshold


def row_warnings(model: ConfidenceModel, similarity: np.ndarray, tied: np.ndarray | None = None) -> list[str]:
    """Return the warning of each query, empty for most: a similarity unlike the labelled queries', or a tied top-1."""
    parts: list[list[str]] = [[] for _ in similarity]
    if model.similarity_quantiles:
        smallest, low, high, largest = (_quantile(model, level) for level in (0.0, *OUTER_LEVELS, 1.0))
        for row in np.flatnonzero((similarity < low) | (similarity > high)):
            value, is_low = similarity[row], similarity[row] < low
            beyond_all = value < smallest or value > largest
            share = "all" if beyond_all else "99.5 %"
            parts[row].append(
                f"similarity {value:.3f} is {'below' if is_low else 'above'} that of {share} of the labelled queries"
            )
    if tied is not None:
        for row in np.flatnonzero(np.asarray(tied) > 1):
            parts[row].append(f"{int(tied[row])} gallery items are tied for the top-1")
    return ["; ".join(texts) for texts in parts]


def batch_warnings(model: ConfidenceModel, similarity: np.ndarray, gallery_fingerprint: str | None = None) -> list[str]:
    """Return what makes the answers of a whole batch doubtful, one line each.

    That is another gallery than the model was fitted with, a gallery of one item, and top-1 similarities (Q,) with
    another distribution than those of the labelled queries (two-sample Kolmogorov-Smirnov test).
    """
    texts = []
    if is_other_gallery(model, gallery_fingerprint):
        texts.append(
            "this is not the gallery that the confidence model was fitted with: nothing is promised; fit it again with "
            "labelled queries against this gallery"
        )
    if model.facts.gallery_size == 1:
        texts.append("the gallery has one item, so that the softmax is 1 for every query and says nothing")
    if model.similarity_quantiles and len(similarity):
        drift = similarity_drift(model, similarity)
        if drift.is_large:
            direction = "lower" if np.median(similarity) < _quantile(model, 0.5) else "higher"
            texts.append(
                f"these queries are unlike the labelled ones: their similarities are {direction} (distance of the "
                f"distributions {drift.distance:.2f}, p = {drift.p_value:.1g}); label some of them and fit again"
            )
    return texts


class Drift(NamedTuple):
    """How far the similarities of new queries are from those of the labelled ones.

    Attributes:
        distance: of the two distribution functions, by Kolmogorov and Smirnov.
        p_value: its asymptotic p-value.
    """

    distance: float
    p_value: float

    @property
    def is_large(self) -> bool:
        """Whether users are warned."""
        return self.p_value < DRIFT_P_VALUE and self.distance >= DRIFT_DISTANCE


def similarity_drift(model: ConfidenceModel, similarity: np.ndarray) -> Drift:
    """Compare the similarities (Q,) of new queries with those of the labelled ones.

    The distribution of the labelled queries is interpolated between the stored quantiles.
    """
    new = np.sort(np.asarray(similarity, dtype=np.float64))
    n_new = len(new)
    fitted = np.interp(new, model.similarity_quantiles, QUANTILE_LEVELS, left=0.0, right=1.0)
    above = np.arange(1, n_new + 1) / n_new - fitted
    below = fitted - np.arange(n_new) / n_new
    distance = max(0.0, float(max(above.max(), below.max())))
    effective = n_new * model.n_queries / (n_new + model.n_queries)
    return Drift(distance, float(kstwobign.sf(distance * np.sqrt(effective))))


def is_other_gallery(model: ConfidenceModel, gallery_fingerprint: str | None) -> bool:
    """Whether the gallery in use is known to be another one than the model was fitted with."""
    fitted = model.facts.gallery_fingerprint
    return fitted is not None and gallery_fingerprint is not None and fitted != gallery_fingerprint


def describe_promise(
    model: ConfidenceModel, precision: float | None = None, gallery_fingerprint: str | None = None
) -> str:
    """Return one sentence: what is promised of the queries that are acted on, and under which conditions.

    Args:
        model: the confidence model.
        precision: one of the model's; by default its first.
        gallery_fingerprint: of the gallery in use; None if unknown.

    Raises:
        OvertopError: the model has thresholds, but none for this precision.
    """
    if not model.thresholds:
        return (
            "no labels: nothing is promised; the queries are only ranked by uncertainty. Label a random sample "
            "(`overtop.queries_to_label`) and fit the model with it"
        )
    precision = model.thresholds[0].precision if precision is None else precision
    threshold = model.threshold(precision)
    if is_other_gallery(model, gallery_fingerprint):
        return (
            f"nothing is promised: the model was fitted with another gallery ({model.facts.gallery_size:,} items); "
            "fit it again with labelled queries against this one"
        )
    labelled = format_count(model.n_threshold_queries, "labelled query")
    if threshold.threshold == -np.inf:
        return (
            f"nothing is promised at precision {precision:g}: {labelled} were not enough to guarantee it; label more, "
            "or ask for a lower precision"
        )
    size = "" if model.facts.gallery_size is None else f" ({format_count(model.facts.gallery_size, 'item')})"
    encoder = f" and the encoder {model.facts.encoder}" if model.facts.encoder else " and the same encoder"
    return (
        f"with probability {model.confidence:g}, at least {100 * precision:g} % of the answers that are acted on are "
        f"right (from {labelled}, of which {100 * threshold.coverage:.0f} % are acted on), for new queries like these, "
        f"against the same gallery{size}{encoder}"
    )


def _quantile(model: ConfidenceModel, level: float) -> float:
    return float(np.interp(level, QUANTILE_LEVELS, model.similarity_quantiles))


def _check_arrays(
    uncertainty: np.ndarray, similarity: np.ndarray, query_ids: Sequence[str], top1_ids: Sequence[str]
) -> None:
    lengths = {len(query_ids), len(top1_ids), *uncertainty.shape, *similarity.shape}
    if uncertainty.ndim != 1 or similarity.ndim != 1 or len(lengths) != 1:
        raise OvertopError(
            f"uncertainty has shape {uncertainty.shape}, similarity {similarity.shape}, with {len(query_ids)} queries "
            f"and {len(top1_ids)} top-1 items; give one of each per query"
        )
    for name, values in {"uncertainty": uncertainty, "similarity": similarity}.items():
        invalid = np.flatnonzero(~np.isfinite(values))
        if invalid.size:
            raise OvertopError(
                f"the {name} of query {query_ids[invalid[0]]!r} is {values[invalid[0]]} ({invalid.size} such queries); "
                "check its embedding"
            )
