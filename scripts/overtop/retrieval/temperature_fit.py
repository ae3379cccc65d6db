"""Fitting the temperature of the softmax over the gallery on a validation split.

The fitted temperature maximises the likelihood of the positives: it minimises the mean over queries of
-log sum_{j positive} softmax(s/T)_j, for each direction (Guo et al., On Calibration of Modern Neural Networks, 2017,
with the gallery as classes and any positive as correct).
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from overtop.errors import OvertopError
from overtop.memory import PAIR_READ_ITEMS
from overtop.progress import Progress, no_progress
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking
from overtop.storage.shards import EmbeddingSource
from overtop.storage.split import Split
from overtop.terms import DIRECTIONS, Direction

TEMPERATURE_GRID = tuple(np.geomspace(0.002, 0.5, 34).tolist())
"""Temperatures at which the likelihood is computed; it is interpolated between them."""


@dataclass(frozen=True)
class TemperatureFit:
    """The fit of one direction.

    Attributes:
        temperature: of the greatest likelihood.
        nll: mean negative log-likelihood at that temperature, in nats.
        n_queries: number of queries with a positive.
    """

    temperature: float
    nll: float
    n_queries: int


def fit_temperatures(
    split: Split, images: EmbeddingSource, texts: EmbeddingSource, *, progress: Progress = no_progress
) -> dict[Direction, TemperatureFit]:
    """Fit the temperature of both directions with the labelled pairs of a split as positives.

    Args:
        split: the pairs of images and captions.
        images: N images of the split; captions whose image is missing have no positive.
        texts: M captions of the split.
        progress: called with the captions ranked and their total.

    Raises:
        OvertopError: the sources cannot be ranked, a caption is not in the split, no query has a positive, or the
            likelihood is greatest at an end of the grid.
    """
    image_of_text = split.image_rows(texts.item_ids, images.item_ids)
    rankings = rank(images, texts, top=1, vote_top=1, temperatures=TEMPERATURE_GRID, progress=progress)
    similarity = _pair_similarities(images, texts, image_of_text)
    fits: dict[Direction, TemperatureFit] = {}
    for direction in DIRECTIONS:
        queries = np.arange(texts.n_items) if direction == "t2i" else image_of_text
        paired = image_of_text >= 0
        ranking = rankings[direction]
        fits[direction] = fit_temperature(ranking, _log_positive_sums(ranking, queries[paired], similarity[paired]))
    return fits


def fit_temperature(ranking: Ranking, log_positive_sums: np.ndarray) -> TemperatureFit:
    """Fit the temperature of one direction.

    Args:
        ranking: Q queries with softmax sums at T temperatures.
        log_positive_sums: (Q, T) log of the sum over the positives of a query of exp((s - s_(1))/temperature); -inf
            for a query without a positive, which is left out.

    Raises:
        OvertopError: no query has a positive, or the likelihood is greatest at an end of the grid.
    """
    usable = np.isfinite(log_positive_sums).all(axis=1)
    if not usable.any():
        raise OvertopError("no query of the validation split has a positive to fit the temperature on")
    log_temperature = np.log(ranking.temperatures)
    nll = (ranking.log_partition - log_positive_sums)[usable].mean(axis=0)
    best = int(nll.argmin())
    if best in (0, len(nll) - 1):
        raise OvertopError(
            "the likelihood of the validation split is greatest at an end of the range of temperatures "
            f"({ranking.temperatures[best]:g}): its similarities do not separate positives from other items; "
            "set temperature.softmax to a number"
        )
    bounds = (log_temperature[best - 1], log_temperature[best + 1])
    optimum = minimize_scalar(CubicSpline(log_temperature, nll), bounds=bounds, method="bounded")
    return TemperatureFit(float(np.exp(optimum.x)), float(optimum.fun), int(usable.sum()))


def _log_positive_sums(ranking: Ranking, queries: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """Return the log of the sum over the positives of each query of exp((s - s_(1))/temperature).

    Args:
        ranking: Q queries with softmax sums at T temperatures.
        queries: (P,) query of each pair.
        similarity: (P,) mean similarity of each pair.

    Returns:
        (Q, T) float64; -inf for a query without a positive.
    """
    sums = np.full((len(ranking.query_ids), len(ranking.temperatures)), -np.inf)
    gap = similarity - ranking.top_scores[queries, 0].astype(np.float64)
    np.logaddexp.at(sums, queries, gap[:, None] / np.array(ranking.temperatures))
    return sums


def _pair_similarities(images: EmbeddingSource, texts: EmbeddingSource, image_of_text: np.ndarray) -> np.ndarray:
    """Return the mean similarity of each caption with its own image, (M,) float64; 0 where that image is missing."""
    total = np.zeros(texts.n_items)
    for s in range(texts.n_samples):
        gallery = _normalise(images.read(s, 0, images.n_items))
        for start in range(0, texts.n_items, PAIR_READ_ITEMS):
            stop = min(start + PAIR_READ_ITEMS, texts.n_items)
            own_images = gallery[image_of_text[start:stop]]
            total[start:stop] += np.einsum("nd,nd->n", _normalise(texts.read(s, start, stop)), own_images)
    return np.where(image_of_text >= 0, total / texts.n_samples, 0.0)


def _normalise(rows: np.ndarray) -> np.ndarray:
    """Return rows of length one in float64, by NumPy: with torch, the last bits of existing fits would change."""
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
