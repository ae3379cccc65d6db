"""Fitting the temperature of the softmax over the gallery on a validation split.

The fitted temperature maximises the likelihood of the positives: it minimises the mean over queries of
-log sum_{j positive} softmax(s/T)_j, for each direction (Guo et al., On Calibration of Modern Neural Networks, 2017,
with the gallery as classes and any positive as correct).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from overtop.errors import OvertopError
from overtop.retrieval.ranking import Ranking
from overtop.storage.shards import EmbeddingSource
from overtop.terms import Direction

GRID = tuple(np.geomspace(0.002, 0.5, 34).tolist())
"""Where the likelihood is computed; between these it is interpolated."""

BLOCK = 4096


@dataclass(frozen=True)
class Fit:
    """The best temperature of one direction, the mean negative log-likelihood there (nats), and of how many queries."""

    temperature: float
    nll: float
    n_queries: int


def fit(ranking: Ranking, log_positive: np.ndarray) -> Fit:
    """The temperature of greatest likelihood, between the ends of the grid.

    Args:
        ranking: Q queries, with its softmax at T temperatures.
        log_positive: (Q, T) log of the sum over a query's positives of exp((s - s_(1))/temperature); -inf for a query
            without any, which does not count.

    Raises:
        OvertopError: no query has a positive, or the likelihood still rises at an end of the grid.
    """
    known = np.isfinite(log_positive).all(axis=1)
    if not known.any():
        raise OvertopError("no query of the validation split has a positive to fit the temperature on")
    log_temperature = np.log(ranking.temperatures)
    nll = (ranking.log_partition - log_positive)[known].mean(axis=0)
    best = int(nll.argmin())
    if best in (0, len(nll) - 1):
        raise OvertopError(
            f"the likelihood of the validation split still rises at temperature {ranking.temperatures[best]:g}; "
            "its similarities do not tell positives from others: set temperature.softmax to a number"
        )
    curve = CubicSpline(log_temperature, nll)
    found = minimize_scalar(curve, bounds=(log_temperature[best - 1], log_temperature[best + 1]), method="bounded")
    return Fit(float(np.exp(found.x)), float(found.fun), int(known.sum()))


def log_positives(
    images: EmbeddingSource, texts: EmbeddingSource, image_of_text: np.ndarray, rankings: Mapping[Direction, Ranking]
) -> dict[Direction, np.ndarray]:
    """What `fit` needs of each direction, (Q, T).

    Args:
        images: N items.
        texts: M items, those of one image together.
        image_of_text: (M,) row in `images`, -1 where the image is not there; such captions are left out of `i2t`,
            and their row in `t2i` is -inf.
        rankings: of both, with their softmax at the same temperatures.
    """
    similarity = _pair_similarity(images, texts, image_of_text)
    known = image_of_text >= 0
    result: dict[Direction, np.ndarray] = {}
    for direction, ranking in rankings.items():
        queries = np.arange(texts.n_items) if direction == "t2i" else image_of_text
        total = np.full((len(ranking.query_ids), len(ranking.temperatures)), -np.inf)
        gap = similarity[known] - ranking.top_scores[queries[known], 0].astype(np.float64)
        np.logaddexp.at(total, queries[known], gap[:, None] / np.array(ranking.temperatures))
        result[direction] = total
    return result


def _pair_similarity(images: EmbeddingSource, texts: EmbeddingSource, image_of_text: np.ndarray) -> np.ndarray:
    """Mean similarity of each caption with its own image, float64 (M,); 0 where the image is not there."""
    total = np.zeros(texts.n_items)
    for s in range(texts.n_samples):
        gallery = _unit(images.read(s, 0, images.n_items))
        for start in range(0, texts.n_items, BLOCK):
            stop = min(start + BLOCK, texts.n_items)
            own = gallery[image_of_text[start:stop]]
            total[start:stop] += np.einsum("nd,nd->n", _unit(texts.read(s, start, stop)), own)
    return np.where(image_of_text >= 0, total / texts.n_samples, 0.0)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
