"""Uncertainties of the queries of one direction, and the table of scores with one row per query and estimator."""

import logging
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.registry import get_estimator, missing_requirement
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import best_rank, eccv_hits, is_tied_at_top, positives_matrix, row_numbers
from overtop.storage.split import Split
from overtop.terms import PROTOCOLS, Direction, Protocol

logger = logging.getLogger(__name__)

COLUMNS = [
    "query_id", "image_id", "direction", "estimator", "protocol", "uncertainty", "top1_id", "hit", "hit_extended",
    "rank", "rank_extended", "tied", "absent", "reranked_rank", "reranked_rank_extended",
]  # fmt: skip
"""Columns of the score table; `hit_eccv` follows if the split has judgments of ECCV Caption."""


def compute_uncertainty(name: str, inputs: EstimatorInputs, protocol: Protocol) -> np.ndarray:
    """The uncertainty of every query under one estimator, float64 (Q,); higher is less trustworthy.

    Args:
        name: name of the estimator.
        inputs: measurements for the queries.
        protocol: `published` repeats the released code, `corrected` is ours.

    Raises:
        OvertopError: unknown estimator or protocol, or `inputs` lack what the estimator needs (several samples, radii,
            an adapter).

    Example:
        >>> from overtop.retrieval.exact import rank
        >>> from overtop.storage.shards import ArraySource
        >>> images, texts = ArraySource([np.eye(2)]), ArraySource([np.array([[0.6, 0.8]])])
        >>> ranking = rank(images, texts, top=2)["t2i"]
        >>> compute_uncertainty("margin", EstimatorInputs(ranking), "corrected").round(4).tolist()
        [0.8]
    """
    estimator = get_estimator(name)
    if protocol not in PROTOCOLS:
        raise OvertopError(f"unknown protocol {protocol!r}; use {' or '.join(PROTOCOLS)}")
    if reason := missing_requirement(estimator, inputs, protocol):
        raise OvertopError(f"{name} {reason}")
    return estimator.function(inputs, protocol).astype(np.float64)


def score_direction(
    split: Split,
    direction: Direction,
    inputs: EstimatorInputs,
    estimators: Sequence[str],
    protocols: Collection[Protocol] = PROTOCOLS,
) -> pd.DataFrame:
    """The scores of every query of one direction: what `score_estimators` yields, in one table."""
    scores = score_estimators(split, direction, inputs, estimators, protocols)
    return pd.concat(scores, ignore_index=True)


def score_estimators(
    split: Split,
    direction: Direction,
    inputs: EstimatorInputs,
    estimators: Sequence[str],
    protocols: Collection[Protocol] = PROTOCOLS,
) -> Iterator[pd.DataFrame]:
    """Yield the scores of every query of one direction under one applicable estimator and protocol after the other.

    Queries without a labelled positive in the gallery are left out: those without a known match in the split, and
    those whose images or captions were skipped. They remain if the split declares their match absent: then no labelled
    positive can be right, and the query is a miss.

    Args:
        split: the images and captions, and which of them belong together.
        direction: `t2i` or `i2t`.
        inputs: measurements for that direction; queries and gallery may lack skipped items of the split.
        estimators: names; an estimator that `inputs` do not allow is left out.
        protocols: protocols to score under.

    Yields:
        Columns `COLUMNS`. `image_id` is the query itself or the image that its caption was written for. `rank` is the
        rank of the best positive, from 1, or infinity if the ranking does not contain it. `tied` is true if the best
        two items have equal similarity, `absent` if the labelled positives are absent from the gallery; an extended
        positive that is in the gallery is still a hit. `reranked_rank` and `reranked_rank_extended` are as `rank` and
        `rank_extended`, but by the normalised similarities of an estimator that needs a bank (up to 10); missing for
        all others. `hit_extended` and `rank_extended` are missing if the split has no extended positives. `hit_eccv` is
        that of `retrieval.relevance.eccv_hits`.

    Raises:
        OvertopError: no query has a known match, or no estimator is applicable.
    """
    applicable = _applicable(inputs, estimators, protocols)
    queries, usable = _describe_queries(split, direction, inputs.ranking)
    reranked = _rank_normalised(split, direction, inputs.ranking)
    columns = COLUMNS if split.eccv is None else [*COLUMNS, "hit_eccv"]
    for name, protocol in applicable:
        scores = queries.assign(
            estimator=name,
            protocol=protocol,
            uncertainty=compute_uncertainty(name, inputs, protocol),
            **reranked.get(name, {}),
        )
        yield scores.loc[usable, columns]


def _applicable(
    inputs: EstimatorInputs, estimators: Sequence[str], protocols: Collection[Protocol]
) -> list[tuple[str, Protocol]]:
    """The estimators and protocols that the inputs allow.

    Raises:
        OvertopError: there are none.
    """
    combinations = [(name, protocol) for name in estimators for protocol in PROTOCOLS if protocol in protocols]
    reasons = {
        (name, protocol): missing_requirement(get_estimator(name), inputs, protocol) for name, protocol in combinations
    }
    applicable = [combination for combination, reason in reasons.items() if reason is None]
    if not applicable:
        each = "; ".join(dict.fromkeys(f"{name} {reason}" for (name, _), reason in reasons.items()))
        raise OvertopError(f"none of the estimators can be computed for this posterior: {each}")
    return applicable


def _describe_queries(split: Split, direction: Direction, ranking: Ranking) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns that do not depend on the estimator, and which queries are scored, (Q,) bool.

    Raises:
        OvertopError: no query is scored.
    """
    labelled = positives_matrix(split, direction, ranking, extended=False)
    has_positive = np.diff(labelled.indptr) > 0
    rank = best_rank(ranking.top_ids, labelled)
    images, is_known = _find_query_images(split, direction, ranking)
    is_absent = is_known & (np.zeros(len(rank), dtype=bool) if split.absent is None else split.absent[images])
    usable = has_positive | is_absent
    _report_left_out(direction, is_known, usable)
    queries = pd.DataFrame(
        {
            "query_id": ranking.query_ids,
            "image_id": np.asarray(split.image_ids, dtype=object)[images],
            "direction": direction,
            "top1_id": np.asarray(ranking.gallery_ids, dtype=object)[ranking.top_ids[:, 0]],
            "hit": rank == 1,
            "hit_extended": pd.array([pd.NA] * len(rank), dtype="boolean"),
            "rank": rank,
            "rank_extended": np.nan,
            "tied": is_tied_at_top(ranking.top_scores),
            "absent": is_absent & ~has_positive,
            "reranked_rank": np.nan,
            "reranked_rank_extended": np.nan,
        }
    )
    if split.extended is not None:
        extended_rank = best_rank(ranking.top_ids, positives_matrix(split, direction, ranking, extended=True))
        queries = queries.assign(
            hit_extended=pd.array(extended_rank == 1, dtype="boolean"), rank_extended=extended_rank
        )
    if split.eccv is not None:
        queries = queries.assign(hit_eccv=eccv_hits(split, direction, ranking))
    return queries, usable


def _report_left_out(direction: Direction, is_known: np.ndarray, usable: np.ndarray) -> None:
    """Log how many queries have no known match, or raise an error if no query is scored."""
    if not usable.any():
        raise OvertopError(
            f"{direction}: none of {len(usable)} queries has a known match, so that nothing can be evaluated; pair "
            "images and captions, or use the data set as the queries or the gallery of `answers`"
        )
    if not is_known.all():
        logger.info("%s: left out %d of %d queries, without a known match", direction, (~is_known).sum(), len(is_known))


def _rank_normalised(split: Split, direction: Direction, ranking: Ranking) -> dict[str, dict[str, np.ndarray]]:
    """The columns `reranked_rank` and `reranked_rank_extended`, each (Q,), by name of the normalisation."""
    kinds = {"reranked_rank": False}
    if split.extended is not None:
        kinds["reranked_rank_extended"] = True
    positives = {column: positives_matrix(split, direction, ranking, extended) for column, extended in kinds.items()}
    return {
        name: {column: best_rank(normalised.top_ids, matrix) for column, matrix in positives.items()}
        for name, normalised in ranking.normalised.items()
    }


def _find_query_images(split: Split, direction: Direction, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """The row of each query's image in the split, (Q,), and whether the query has a known match, (Q,) bool.

    The image of a query is itself, or the image that its caption belongs to; the first one if that is unknown.
    """
    if direction == "t2i":
        images = split.image_rows(ranking.query_ids, split.image_ids)
        return np.maximum(images, 0), images >= 0
    images = row_numbers(split.image_ids, ranking.query_ids)
    return images, np.full(len(images), True) if split.is_classes else split.has_caption[images]
