"""How far the softmax over the items that a search returned can be from the softmax over the whole gallery."""

import logging
from collections.abc import Mapping

import numpy as np

from overtop.retrieval.ranking import Ranking
from overtop.retrieval.temperature import Temperatures
from overtop.retrieval.truncated import probability_interval
from overtop.terms import Direction

LARGE_ERROR = 0.01
"""Largest error of a probability that needs no warning."""

TOLERATED_SHARE = 0.01
"""Share of the queries that may have a larger one."""

_LOG = logging.getLogger(__name__)


def largest_errors(ranking: Ranking, temperatures: Temperatures) -> dict[str, np.ndarray]:
    """Return by how much each kind of probability of a ranking can be too large, (Q,) by name.

    Those of the softmax at its temperature and of each normalisation are probabilities of the top-1 (or its group). The
    Dirichlet estimators depend on the whole sum: theirs is the share of it that can be missing. Empty if the sums of
    the ranking are those of the whole gallery.
    """
    errors = {}
    if ranking.truncation_bound.size:
        softmax, dirichlet = (ranking.temperatures.index(t) for t in (temperatures.softmax, temperatures.dirichlet))
        errors["max_softmax"] = _probability_error(
            ranking.group_log_partition[:, softmax], ranking.truncation_bound[:, softmax]
        )
        errors["dirichlet"] = -np.expm1(-ranking.truncation_bound[:, dirichlet])
    for name, normalised in ranking.normalised.items():
        if normalised.truncation_bound is not None:
            errors[name] = _probability_error(normalised.neg_log_probability, normalised.truncation_bound)
    return errors


def log_truncation(
    rankings: Mapping[Direction, Ranking], temperatures: Mapping[Direction, Temperatures], top: int
) -> None:
    """Log the largest errors of a search, with a warning and its fix if they are not small.

    Args:
        rankings: what `search` returned.
        temperatures: of each direction.
        top: the configured number of items per query.
    """
    shares: dict[str, float] = {}
    for direction, ranking in rankings.items():
        for name, error in largest_errors(ranking, temperatures[direction]).items():
            _LOG.info(
                "%s, %s: items that were not found can change it by at most %.2g (median of the queries: %.2g)",
                direction, name, error.max(), np.median(error),
            )  # fmt: skip
            shares[name] = max(shares.get(name, 0.0), float(np.mean(error > LARGE_ERROR)))
    large = [
        f"{name} (up to {100 * share:.0f} % of the queries)"
        for name, share in shares.items()
        if share > TOLERATED_SHARE
    ]
    if large:
        _LOG.warning(
            "the search index leaves out items that may change probabilities by more than %g: %s; raise ranking.top "
            "(now %d), or set ranking.search to stream", LARGE_ERROR, ", ".join(large), top,
        )  # fmt: skip


def _probability_error(neg_log_probability: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Return by how much a probability can be too large, (Q,)."""
    low, _ = probability_interval(neg_log_probability, bound)
    return np.exp(-neg_log_probability) - low
