"""Is uncertainty ambiguity? Whether uncertain queries have other items that people call relevant.

People judged pairs that are not labelled (`overtop.datasets.judgments`). A query's ambiguity is what they say of its
judged others: an uncertain query that is ambiguous is no failing of the model, and a miss whose top-1 they call
relevant is a missing label rather than an error.

The judged pairs are no random sample. Of Flickr8k's test split only caption number 2 of each image was judged, with 0
to 34 other images by experts (6 on average) and 5 to 168 by the crowd (47), and these are much alike: OpenAI's CLIP
ViT-B/32, asked about caption number 0, holds half of the pairs for closer than 74% (experts) and 82% (crowd) of all. So

- ambiguity is known from below, and its maximum grows with how often people were asked; its mean does not;
- a miss was judged only where the top-1 is among those, so shares of judged misses do not carry over to all.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_clusters
from overtop.evaluation.inputs import checked
from overtop.evaluation.ordering import Ordering
from overtop.evaluation.significance import interval
from overtop.seeds import derive_seed

THIRDS = ("low", "middle", "high")

Measured = Iterator[tuple[str, np.ndarray, int]]
"""Name of a statistic, its (B,) values under B weightings, and of how many queries it is."""


def judge(scores: pd.DataFrame, judgments: pd.DataFrame, spec: BootstrapSpec, seed: int) -> pd.DataFrame:
    """Hold every uncertainty against people's judgments.

    The statistics, each over the queries with a judged other item:

    - `spearman_max`, `spearman_mean`: rank correlation of uncertainty with the highest and the mean relevance of the
      judged others; 0 where one of the two is constant.
    - `auroc`: the chance that a query with a relevant other item is more uncertain than one without, equals counting
      half; 0.5 where all or none have one.
    - `uncertainty_ambiguous`, `uncertainty_unambiguous`: mean uncertainty of the queries with and without.
    - `judged_misses`: the share of misses whose top-1 was judged.
    - `relevant_misses`: the share of these whose top-1 is relevant; with `_low`, `_middle` or `_high`, of a third of
      these by uncertainty, equals together.
    - `relevant_misses_auroc`: the chance that a judged miss with a relevant top-1 is more uncertain than another.

    A statistic of no query has no row. Intervals are percentiles over resamples of the images, all queries of an image
    together; a resample without any query of a mean does not count for it. The interval of a share of 0 or 1 has no
    width, so look at `n` as well.

    Args:
        scores: as the `score` rule writes them.
        judgments: as `read_judgments` returns them.
        spec: resamples and level of the intervals.
        seed: of the resamples, which are the same for all estimators.

    Returns:
        `direction`, `source`, `estimator`, `protocol`, `statistic`, `value`, `low`, `high`, `n`: the number of queries
        that the statistic is of.

    Raises:
        OvertopError: no query has a judged other item, or an uncertainty is not finite.
    """
    images, cluster = np.unique(scores["image_id"].to_numpy(dtype=str), return_inverse=True)
    draws = draw_clusters(len(images), spec.resamples, derive_seed(seed, "judgments"))
    weights = np.vstack([np.ones(len(images)), draws])  # first each image once: the value itself
    rows = []
    for direction, source, asked in _judged(scores.assign(cluster=cluster), judgments):
        for (estimator, protocol), group in asked.groupby(["estimator", "protocol"], sort=False):
            key = {"direction": direction, "source": source, "estimator": estimator, "protocol": protocol}
            for statistic, values, n in _measure(group, weights):
                if n:
                    low, high = interval(values[1:][np.isfinite(values[1:])], spec.level)
                    found = {"statistic": statistic, "value": values[0], "low": low, "high": high, "n": n}
                    rows.append({**key, **found})
    if not rows:
        raise OvertopError("no query of the scores has a judged other item; give the judgments of this very split")
    return pd.DataFrame(rows)


def _judged(scores: pd.DataFrame, judgments: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Direction, source, and the scores of queries with judged others, with what was said of these and of the top-1."""
    others = judgments[~judgments["labelled"]]
    for direction, asked in scores.groupby("direction", sort=False):
        query, item = ("caption_id", "image_id") if direction == "t2i" else ("image_id", "caption_id")
        for source, said in others.groupby("source", sort=False):
            pairs = said[[query, item, "relevance", "relevant"]].set_axis(
                ["query_id", "top1_id", "relevance", "relevant"], axis=1
            )
            ambiguity = pairs.groupby("query_id").agg(
                relevance_max=("relevance", "max"), relevance_mean=("relevance", "mean"), ambiguous=("relevant", "any")
            )
            ambiguity["relevance_mean"] = ambiguity["relevance_mean"].round(9)  # or equals would differ by rounding
            of_top1 = pairs.set_index(["query_id", "top1_id"])["relevant"].rename("top1_relevant")
            found = asked.join(ambiguity, on="query_id", how="inner").join(of_top1, on=["query_id", "top1_id"])
            yield direction, source, found


def _measure(group: pd.DataFrame, weights: np.ndarray) -> Measured:
    uncertainty, hit = checked(group["uncertainty"].to_numpy(), group["hit"].to_numpy())
    cluster, ambiguous = group["cluster"].to_numpy(), group["ambiguous"].to_numpy(dtype=bool)
    drawn = weights.take(cluster, axis=1)
    ranks = _middle_ranks(uncertainty, cluster, weights)
    for name in ("max", "mean"):
        relevance = _middle_ranks(group[f"relevance_{name}"].to_numpy(), cluster, weights)
        yield f"spearman_{name}", _correlation(ranks, relevance, drawn), len(group)
    yield "auroc", _auroc(ranks, ambiguous, drawn), len(group)
    yield "uncertainty_ambiguous", _mean(uncertainty, ambiguous, drawn), int(ambiguous.sum())
    yield "uncertainty_unambiguous", _mean(uncertainty, ~ambiguous, drawn), int((~ambiguous).sum())
    judged = group["top1_relevant"].notna().to_numpy()
    yield "judged_misses", _mean(judged, ~hit, drawn), int((~hit).sum())
    if (judged & ~hit).any():
        yield from _measure_misses(group[judged & ~hit], weights)


def _measure_misses(missed: pd.DataFrame, weights: np.ndarray) -> Measured:
    """Of misses whose top-1 was judged."""
    uncertainty, cluster = missed["uncertainty"].to_numpy(), missed["cluster"].to_numpy()
    relevant, drawn = missed["top1_relevant"].to_numpy(dtype=bool), weights.take(cluster, axis=1)
    yield "relevant_misses", _mean(relevant, np.ones(len(missed), dtype=bool), drawn), len(missed)
    middle_rank = stats.rankdata(uncertainty, method="average") - 0.5
    third = (middle_rank / len(missed) * len(THIRDS)).astype(np.int64)
    for number, name in enumerate(THIRDS):
        yield f"relevant_misses_{name}", _mean(relevant, third == number, drawn), int((third == number).sum())
    yield "relevant_misses_auroc", _auroc(_middle_ranks(uncertainty, cluster, weights), relevant, drawn), len(missed)


def _middle_ranks(values: np.ndarray, cluster: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, Q) rank of each query among all that were drawn, from 1, equals sharing the middle of theirs."""
    ordering = Ordering(values, np.zeros(len(values), dtype=bool), cluster)
    counts = ordering.counts(weights)
    middle = counts.kept[:, :-1] + (counts.size + 1) / 2
    return middle.take(np.searchsorted(ordering.values, values), axis=1)


def _correlation(first: np.ndarray, second: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(B,) Spearman's correlation from the ranks; 0 where one side is constant."""
    centre = (drawn.sum(axis=1, keepdims=True) + 1) / 2
    first, second = first - centre, second - centre
    both, one, other = (
        np.einsum("bq,bq,bq->b", drawn, a, b) for a, b in ((first, second), (first, first), (second, second))
    )
    scale = np.sqrt(one * other)
    return np.divide(both, scale, out=np.zeros_like(both), where=scale > 0)


def _auroc(ranks: np.ndarray, positive: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(B,) chance that a positive has a higher rank than a negative; 0.5 where one of them is lacking."""
    n = drawn[:, positive].sum(axis=1)
    pairs = n * (drawn.sum(axis=1) - n)
    won = np.einsum("bq,bq->b", drawn[:, positive], ranks[:, positive]) - n * (n + 1) / 2
    return np.where(pairs > 0, won / np.maximum(pairs, 1), 0.5)


def _mean(values: np.ndarray, some: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(B,) mean over `some` of the queries; NaN where none of them was drawn."""
    total = drawn[:, some].sum(axis=1)
    return np.where(total > 0, drawn[:, some] @ values[some], np.nan) / np.maximum(total, 1)
