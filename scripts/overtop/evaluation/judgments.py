"""Ambiguity: do uncertain queries have other items that human raters call relevant?

Raters judged pairs that are not labelled (`overtop.datasets.judgments`). The ambiguity of a query is the relevance of
its judged items other than its labelled ones. A high uncertainty of an ambiguous query is justified, and a miss whose
top-1 is judged relevant is a missing label rather than an error.

The judged pairs are not a random sample. Of Flickr8k's test split only caption number 2 of each image was judged, with
0 to 34 other images by experts (6 on average) and 5 to 168 by the crowd (47), and these images are similar to the own
one: by OpenAI's CLIP ViT-B/32 with caption number 0, half of the pairs are closer than 74% (experts) and 82% (crowd) of
all pairs. Hence:

- ambiguity is a lower bound, and its maximum grows with the number of judged pairs, while its mean does not;
- a miss is judged only if its top-1 is among those pairs, so shares of judged misses do not generalise to all misses.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.ordering import CumulativeCounts, SortedQueries
from overtop.evaluation.selective import auroc
from overtop.evaluation.significance import Bounds, symmetric_interval
from overtop.seeds import derive_seed

THIRDS = ("low", "middle", "high")
"""Thirds of the judged misses by uncertainty."""

Statistics = Iterator[tuple[str, np.ndarray, int]]
"""Name of a statistic, its values (B,) under B weightings, and the number of queries it is computed from."""


def compare_with_judgments(
    scores: pd.DataFrame, judgments: pd.DataFrame, spec: BootstrapSpec, seed: int
) -> pd.DataFrame:
    """Compare every uncertainty with human judgments.

    The statistics, each over the queries with a judged other item:

    - `spearman_max`, `spearman_mean`: rank correlation of uncertainty with the highest and the mean relevance of the
      judged other items; 0 where either is constant.
    - `auroc`: probability that a query with a relevant other item is more uncertain than one without, where ties count
      half; 0.5 where all queries or none have one.
    - `uncertainty_ambiguous`, `uncertainty_unambiguous`: mean uncertainty of the queries with and without a relevant
      other item.
    - `judged_misses`: share of misses whose top-1 was judged.
    - `relevant_misses`: share of the judged misses whose top-1 is relevant; with `_low`, `_middle` or `_high` in a
      third of them by uncertainty, where ties stay together.
    - `relevant_misses_auroc`: probability that a judged miss with a relevant top-1 is more uncertain than one without.

    A statistic of no queries has no row. Intervals (`symmetric_interval`) are from resamples of the images, each with
    all its queries. A mean over few queries, for which many resamples have none, has its whole range as interval. The
    interval of a share of 0 or 1 has width 0 otherwise, so read it together with `n`.

    Args:
        scores: score table of one posterior (`estimators.scoring`).
        judgments: result of `datasets.judgments.read_judgments`.
        spec: resamples and level of the intervals.
        seed: of the resamples, which are the same for all estimators.

    Returns:
        Columns `direction`, `source`, `estimator`, `protocol`, `statistic`, `value`, `low`, `high` and `n`, the number
        of queries that the statistic is computed from.

    Raises:
        OvertopError: no query has a judged other item, or an uncertainty is not finite.
    """
    images, cluster = np.unique(scores["image_id"].to_numpy(dtype=str), return_inverse=True)
    draws = draw_cluster_weights(len(images), spec.resamples, derive_seed(seed, "judgments"))
    weights = np.vstack([np.ones(len(images)), draws])  # the first row gives the value itself
    rows = []
    for direction, source, queries in _join_judgments(scores.assign(cluster=cluster), judgments):
        for (estimator, protocol), group in queries.groupby(["estimator", "protocol"], sort=False):
            key = {"direction": direction, "source": source, "estimator": estimator, "protocol": protocol}
            for statistic, values, n in _statistics(group, weights):
                if n:
                    bounds = _bounds(statistic, group["uncertainty"])
                    low, high = symmetric_interval(values[0], values[1:], spec.level, bounds)
                    rows.append({**key, "statistic": statistic, "value": values[0], "low": low, "high": high, "n": n})
    if not rows:
        raise OvertopError(
            "no query of the scores has a judged other item; configure the judgments of this data set and split"
        )
    return pd.DataFrame(rows)


def _join_judgments(scores: pd.DataFrame, judgments: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Direction, source, and the scores of queries with judged other items, with the judgments of these and the top-1.

    The columns added are `relevance_max`, `relevance_mean`, `ambiguous` (any other item is relevant) and
    `top1_relevant`, missing where the top-1 was not judged.
    """
    others = judgments[~judgments["labelled"]]
    for direction, queries in scores.groupby("direction", sort=False):
        query, item = ("caption_id", "image_id") if direction == "t2i" else ("image_id", "caption_id")
        for source, of_source in others.groupby("source", sort=False):
            pairs = of_source[[query, item, "relevance", "relevant"]].set_axis(
                ["query_id", "top1_id", "relevance", "relevant"], axis=1
            )
            ambiguity = pairs.groupby("query_id").agg(
                relevance_max=("relevance", "max"), relevance_mean=("relevance", "mean"), ambiguous=("relevant", "any")
            )
            ambiguity["relevance_mean"] = ambiguity["relevance_mean"].round(9)  # keeps ties equal despite rounding
            top1 = pairs.set_index(["query_id", "top1_id"])["relevant"].rename("top1_relevant")
            yield (
                direction,
                source,
                queries.join(ambiguity, on="query_id", how="inner").join(top1, on=["query_id", "top1_id"]),
            )


def _bounds(statistic: str, uncertainty: pd.Series) -> Bounds:
    """The range of a statistic: of a correlation, of a mean uncertainty, or of a share."""
    if statistic.startswith("uncertainty"):
        return float(uncertainty.min()), float(uncertainty.max())
    return (-1, 1) if statistic.startswith("spearman") else (0, 1)


def _statistics(group: pd.DataFrame, weights: np.ndarray) -> Statistics:
    """All statistics of one estimator and protocol under every row of `weights` (B, images)."""
    uncertainty, hit = validate_scores(group["uncertainty"].to_numpy(), group["hit"].to_numpy())
    cluster, ambiguous = group["cluster"].to_numpy(), group["ambiguous"].to_numpy(dtype=bool)
    copies = weights.take(cluster, axis=1)
    queries = SortedQueries(uncertainty, ~ambiguous, cluster)
    counts = queries.count(weights)
    ranks = _mid_ranks(uncertainty, queries, counts)
    for name in ("max", "mean"):
        relevance = group[f"relevance_{name}"].to_numpy()
        by_relevance = SortedQueries(relevance, ~ambiguous, cluster)
        relevance_ranks = _mid_ranks(relevance, by_relevance, by_relevance.count(weights))
        yield f"spearman_{name}", _correlate_ranks(ranks, relevance_ranks, copies), len(group)
    yield "auroc", auroc(counts), len(group)
    yield "uncertainty_ambiguous", _mean_over(uncertainty, ambiguous, copies), int(ambiguous.sum())
    yield "uncertainty_unambiguous", _mean_over(uncertainty, ~ambiguous, copies), int((~ambiguous).sum())
    judged = group["top1_relevant"].notna().to_numpy()
    yield "judged_misses", _mean_over(judged, ~hit, copies), int((~hit).sum())
    if (judged & ~hit).any():
        yield from _miss_statistics(group[judged & ~hit], weights)


def _miss_statistics(misses: pd.DataFrame, weights: np.ndarray) -> Statistics:
    """Statistics of the misses whose top-1 was judged."""
    uncertainty, cluster = misses["uncertainty"].to_numpy(), misses["cluster"].to_numpy()
    relevant, copies = misses["top1_relevant"].to_numpy(dtype=bool), weights.take(cluster, axis=1)
    yield "relevant_misses", _mean_over(relevant, np.ones(len(misses), dtype=bool), copies), len(misses)
    mid_rank = stats.rankdata(uncertainty, method="average") - 0.5
    third = (mid_rank / len(misses) * len(THIRDS)).astype(np.int64)
    for number, name in enumerate(THIRDS):
        yield f"relevant_misses_{name}", _mean_over(relevant, third == number, copies), int((third == number).sum())
    counts = SortedQueries(uncertainty, ~relevant, cluster).count(weights)
    yield "relevant_misses_auroc", auroc(counts), len(misses)


def _mid_ranks(values: np.ndarray, queries: SortedQueries, counts: CumulativeCounts) -> np.ndarray:
    """(B, Q) rank of each query within its resample, from 1, ties sharing their mean rank.

    Args:
        values: (Q,) by which the queries are sorted.
        queries: the same queries, sorted.
        counts: of the queries in B resamples.
    """
    group_ranks = counts.n_queries[:, :-1] + (counts.group_sizes + 1) / 2
    return group_ranks.take(np.searchsorted(queries.distinct, values), axis=1)


def _correlate_ranks(first: np.ndarray, second: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """(B,) Spearman's correlation from ranks (B, Q) with weights `copies` (B, Q); 0 where either is constant."""
    mean_rank = (copies.sum(axis=1, keepdims=True) + 1) / 2
    first, second = first - mean_rank, second - mean_rank
    covariance, first_variance, second_variance = (
        np.einsum("bq,bq,bq->b", copies, a, b) for a, b in ((first, second), (first, first), (second, second))
    )
    scale = np.sqrt(first_variance * second_variance)
    return np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)


def _mean_over(values: np.ndarray, subset: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """(B,) mean over the queries in `subset` (Q,) with weights `copies` (B, Q); NaN in resamples without any."""
    total = copies[:, subset].sum(axis=1)
    return np.where(total > 0, copies[:, subset] @ values[subset], np.nan) / np.maximum(total, 1)
