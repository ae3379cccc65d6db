"""Fitting the temperature of the softmax over the gallery on a validation split.

The fitted temperature maximises the likelihood of the positives: it minimises the mean over queries of
-log sum_{j positive} softmax(s/T)_j, for each direction of the split (Guo et al., On Calibration of
Modern Neural Networks, 2017, with the gallery as classes and any positive as correct).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from overtop.errors import OvertopError
from overtop.memory import PAIR_READ_ITEMS, blocks
from overtop.progress import Progress, no_progress
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import row_numbers
from overtop.storage.shards import EmbeddingSource
from overtop.storage.split import Split
from overtop.terms import Direction

TEMPERATURE_GRID = tuple(np.geomspace(0.002, 0.5, 34).tolist())
"""Temperatures at which the likelihood is computed; it is interpolated between them."""


class Pairs(NamedTuple):
    """P labelled pairs of images and texts.

    Attributes:
        images: (P,) row of the image of each pair.
        texts: (P,) row of the text, ascending.
    """

    images: np.ndarray
    texts: np.ndarray


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
    """Fit the temperature of each direction of a split with its labelled pairs as positives.

    Args:
        split: the pairs of images and captions or classes.
        images: N images of the split; captions whose image is missing have no positive.
        texts: M captions or classes of the split.
        progress: called with the captions ranked and their total.

    For classes an end of the grid is a result, too: a classifier may be right on all images, which fit ever lower
    temperatures best, or be no better than chance.

    Raises:
        OvertopError: the sources cannot be ranked, a caption is not in the split, no query has a positive, or the
            likelihood of captions is greatest at an end of the grid.
    """
    pairs = labelled_pairs(split, images.item_ids, texts.item_ids)
    rankings = rank(
        images,
        texts,
        top=1,
        vote_top=1,
        temperatures=TEMPERATURE_GRID,
        directions=split.directions,
        progress=progress,
    )
    similarity = _pair_similarities(images, texts, pairs)
    fits: dict[Direction, TemperatureFit] = {}
    for direction, ranking in rankings.items():
        queries = pairs.texts if direction == "t2i" else pairs.images
        sums = _log_positive_sums(ranking, queries, similarity)
        fits[direction] = fit_temperature(ranking, sums, accept_ends=split.is_classes)
    return fits


def labelled_pairs(split: Split, image_ids: Sequence[str], text_ids: Sequence[str]) -> Pairs:
    """Return the labelled pairs of the given items of a split, in the order of the texts.

    Raises:
        OvertopError: a caption is not in the split.
    """
    if split.labels is None:
        image_of_text = split.image_rows(text_ids, image_ids)
        texts = np.flatnonzero(image_of_text >= 0)
        return Pairs(image_of_text[texts], texts)
    row_of_image = {image_id: row for row, image_id in enumerate(image_ids)}
    rows = np.array([row_of_image.get(image_id, -1) for image_id in split.image_ids])
    of_texts = [rows[split.labels[number]] for number in row_numbers(split.caption_ids, text_ids)]
    pairs = Pairs(np.concatenate(of_texts), np.repeat(np.arange(len(of_texts)), [len(of) for of in of_texts]))
    return Pairs(*(column[pairs.images >= 0] for column in pairs))


def fit_temperature(ranking: Ranking, log_positive_sums: np.ndarray, accept_ends: bool = False) -> TemperatureFit:
    """Fit the temperature of one direction.

    Args:
        ranking: Q queries with softmax sums at T temperatures.
        log_positive_sums: (Q, T) log of the sum over the positives of a query of exp((s - s_(1))/temperature); -inf
            for a query without a positive, which is left out.
        accept_ends: whether an end of the grid may be the result.

    Raises:
        OvertopError: no query has a positive, or the likelihood is greatest at an end of the grid that is not accepted.
    """
    usable = np.isfinite(log_positive_sums).all(axis=1)
    if not usable.any():
        raise OvertopError(
            "no query of the validation split has a positive to fit the temperature on; set temperature.softmax to a "
            "number, or temperature.fit_split to a split with known matches"
        )
    log_temperature = np.log(ranking.temperatures)
    nll = (ranking.log_partition - log_positive_sums)[usable].mean(axis=0)
    best = int(nll.argmin())
    if best in (0, len(nll) - 1):
        if accept_ends:
            return TemperatureFit(ranking.temperatures[best], float(nll[best]), int(usable.sum()))
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


def _pair_similarities(images: EmbeddingSource, texts: EmbeddingSource, pairs: Pairs) -> np.ndarray:
    """Return the mean similarity of each of P pairs, (P,) float64."""
    total = np.zeros(len(pairs.texts))
    for s in range(texts.n_samples):
        gallery = _normalise(images.read(s, 0, images.n_items))
        for start in range(0, texts.n_items, PAIR_READ_ITEMS):
            stop = min(start + PAIR_READ_ITEMS, texts.n_items)
            units = _normalise(texts.read(s, start, stop))
            of_block = slice(*np.searchsorted(pairs.texts, [start, stop]))
            for part in blocks(of_block.stop - of_block.start, 1, PAIR_READ_ITEMS):
                rows = slice(of_block.start + part.start, of_block.start + part.stop)
                own = gallery[pairs.images[rows]]
                total[rows] += np.einsum("nd,nd->n", units[pairs.texts[rows] - start], own)
    return total / texts.n_samples


def _normalise(rows: np.ndarray) -> np.ndarray:
    """Return rows of length one in float64, by NumPy: with torch, the last bits of existing fits would change."""
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
