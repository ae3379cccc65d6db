"""Does every way through the ranking pass give the same answer, and is it the right one?"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from bench.bars import Bar, Outcome, not_applicable
from bench.embeddings import embeddings
from bench.passes import ranked, sides
from bench.size import Size
from helpers import oracles
from overtop.retrieval.matmul import Precision
from overtop.retrieval.ranking import Ranking
from overtop.storage.shards import ArraySource, EmbeddingSource

TIE = 1e-6
"""Similarities closer than this are equal to float32 sums of another order."""
SCORE = 1e-5
"""How far scores may differ."""
COMPARED = ("top_ids", "top_scores", "sample_top", "log_partition")
ORACLE, BFLOAT16, GPU = "a float64 oracle", "bfloat16 on the CPU", "float32 on the GPU"
TARGET = f"none, scores to {SCORE:g}"


def run(size: Size) -> Outcome:
    """Hold the float32 pass on the CPU against a float64 oracle, and the other ways against it."""
    images, texts = embeddings(size.captions, size.images, size.samples, size.dim)
    base = ranked(images, texts, "float32")
    rows = []
    for direction, ranking in base.items():
        queries, gallery = sides(direction, images, texts)
        chosen = np.linspace(0, queries.n_items - 1, size.compared).astype(int)
        some = ArraySource([sample[chosen] for sample in _whole(queries)])
        here = replace(ranking, **{name: getattr(ranking, name)[chosen] for name in COMPARED})
        found = compare(some, gallery, here, _oracle(some, gallery, here))
        rows.append({"way": ORACLE, "direction": direction, **found})
    for way, options in _ways().items():
        other = ranked(images, texts, *options)
        for direction in base:
            found = compare(*sides(direction, images, texts), base[direction], other[direction])
            rows.append({"way": way, "direction": direction, **found})
    table = pd.DataFrame(rows)
    bars = [_bar(str(way), found) for way, found in table.groupby("way", sort=False)]
    if not torch.cuda.is_available():
        bars.append(not_applicable(_name(GPU), TARGET, "there is no GPU here"))
    return Outcome({"agreement": table}, bars)


def _ways() -> dict[str, tuple[Precision, str]]:
    """Precision and device of the other ways that are open here."""
    ways: dict[str, tuple[Precision, str]] = {BFLOAT16: ("bfloat16", "cpu")}
    return ways | ({GPU: ("float32", "cuda")} if torch.cuda.is_available() else {})


def _name(way: str) -> str:
    return f"same answer: float32 on the CPU, {way}"


def _bar(way: str, found: pd.DataFrame) -> Bar:
    beyond, entries = found["beyond_ties"].sum(), found["entries"].sum()
    score = found["largest_score_difference"].max()
    figure = f"{beyond} of {entries:,} entries differ (ties apart), scores by {score:.1g}"
    return Bar(_name(way), figure, TARGET, "met" if not beyond and score <= SCORE else "missed")


def compare(queries: EmbeddingSource, gallery: EmbeddingSource, first: Ranking, second: Ranking) -> dict[str, float]:
    """How far two rankings of the same queries differ.

    Returns:
        `queries`; `entries` of the lists (`top_ids` and `sample_top`); `top1_differs`: queries of another best item;
        `differing` entries; `beyond_ties`: those whose two items are not equally similar to the query; the largest
        differences of `top_scores` and of `log_partition`.
    """
    row, column = np.nonzero(first.top_ids != second.top_ids)
    mean_gap = np.zeros(len(row))
    differing, beyond = len(row), 0
    for s, (asked, items) in enumerate(zip(_whole(queries), _whole(gallery), strict=True)):
        asked, items = oracles.unit(asked), oracles.unit(items)
        mean_gap += _gap(asked[row], items, first.top_ids[row, column], second.top_ids[row, column])
        one, other = first.sample_top[:, s], second.sample_top[:, s]
        voter, place = np.nonzero(one != other)
        differing += len(voter)
        beyond += int((np.abs(_gap(asked[voter], items, one[voter, place], other[voter, place])) > TIE).sum())
    return {
        "queries": queries.n_items,
        "entries": first.top_ids.size + first.sample_top.size,
        "top1_differs": int((column == 0).sum()),
        "differing": differing,
        "beyond_ties": beyond + int((np.abs(mean_gap) / queries.n_samples > TIE).sum()),
        "largest_score_difference": float(np.abs(first.top_scores - second.top_scores).max()),
        "largest_log_partition_difference": float(np.abs(first.log_partition - second.log_partition).max()),
    }


def _gap(asked: np.ndarray, items: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """By how much each query (n, D) is more similar to one item than to another."""
    return ((items[one] - items[other]) * asked).sum(axis=1)


def _oracle(queries: EmbeddingSource, gallery: EmbeddingSource, like: Ranking) -> Ranking:
    """The ranking of a few queries from their whole rows of similarities, in float64."""
    both = _whole(queries), _whole(gallery)
    top_ids, top_scores, sample_top = oracles.full_ranking(*both, like.top_ids.shape[1], like.sample_top.shape[2])
    scores = oracles.similarities(*both).mean(axis=0)
    below = scores - scores.max(axis=1, keepdims=True)
    sums = [np.exp(below / temperature).sum(axis=1) for temperature in like.temperatures]
    return replace(like, top_ids=top_ids, top_scores=top_scores, sample_top=sample_top, log_partition=np.log(sums).T)


def _whole(source: EmbeddingSource) -> list[np.ndarray]:
    return [source.read(s, 0, source.n_items) for s in range(source.n_samples)]
