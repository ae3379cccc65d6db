"""Agreement of the ranking pass with a float64 reference, and of its precisions and devices with each other."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from bench.ranking_pass import rank_embeddings, read_samples
from bench.sizes import BenchmarkSizes
from bench.synthetic_embeddings import make_embeddings
from bench.targets import PartResult, TargetCheck, not_applicable
from helpers import oracles
from overtop.retrieval.matmul import Precision
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.sources import queries_and_gallery
from overtop.storage.shards import ArraySource, EmbeddingSource

TIE_TOLERANCE = 1e-6
"""Similarities that differ by less may change places, since float32 sums depend on their order."""
MAX_SCORE_DIFFERENCE = 1e-5
COMPARED_FIELDS = ("top_ids", "top_scores", "sample_top", "log_partition")
REFERENCE, BFLOAT16, GPU = "a float64 reference", "bfloat16 on the CPU", "float32 on the GPU"
TARGET = f"no differing entry, scores within {MAX_SCORE_DIFFERENCE:g}"


def run(sizes: BenchmarkSizes) -> PartResult:
    """Compare the float32 pass on the CPU with a float64 reference and with the other precisions and devices."""
    images, texts = make_embeddings(sizes.captions, sizes.images, sizes.samples, sizes.dim)
    base = rank_embeddings(images, texts, "float32")
    rows = []
    for direction, ranking in base.items():
        queries, gallery = queries_and_gallery(direction, images, texts)
        selected = np.linspace(0, queries.n_items - 1, sizes.reference_queries).astype(int)
        some_queries = ArraySource([sample[selected] for sample in read_samples(queries)])
        some_rankings = replace(ranking, **{name: getattr(ranking, name)[selected] for name in COMPARED_FIELDS})
        reference = _reference_ranking(some_queries, gallery, some_rankings)
        differences = compare_rankings(some_queries, gallery, some_rankings, reference)
        rows.append({"way": REFERENCE, "direction": direction, **differences})
    for variant, (precision, device) in _available_variants().items():
        other = rank_embeddings(images, texts, precision, device)
        for direction in base:
            sources = queries_and_gallery(direction, images, texts)
            differences = compare_rankings(*sources, base[direction], other[direction])
            rows.append({"way": variant, "direction": direction, **differences})
    table = pd.DataFrame(rows)
    checks = [_check_agreement(str(variant), part) for variant, part in table.groupby("way", sort=False)]
    if not torch.cuda.is_available():
        checks.append(not_applicable(_check_name(GPU), TARGET, "no GPU"))
    return PartResult({"agreement": table}, checks)


def _available_variants() -> dict[str, tuple[Precision, str]]:
    """Return the precision and device of the other variants that this machine supports."""
    variants: dict[str, tuple[Precision, str]] = {BFLOAT16: ("bfloat16", "cpu")}
    return variants | ({GPU: ("float32", "cuda")} if torch.cuda.is_available() else {})


def _check_name(variant: str) -> str:
    return f"same ranking: float32 on the CPU and {variant}"


def _check_agreement(variant: str, differences: pd.DataFrame) -> TargetCheck:
    differing, entries = differences["beyond_ties"].sum(), differences["entries"].sum()
    score = differences["largest_score_difference"].max()
    figure = f"{differing} of {entries:,} entries differ (ties excluded), scores by up to {score:.1g}"
    met = not differing and score <= MAX_SCORE_DIFFERENCE
    return TargetCheck(_check_name(variant), figure, TARGET, "met" if met else "missed")


def compare_rankings(
    queries: EmbeddingSource, gallery: EmbeddingSource, first: Ranking, second: Ranking
) -> dict[str, float]:
    """Count the differences of two rankings of the same queries.

    Returns:
        `queries`: their number; `entries`: size of the lists `top_ids` and `sample_top`; `top1_differs`: queries whose
        top-1 differs; `differing`: entries that differ; `beyond_ties`: those whose two items are not equally similar to
        the query; `largest_score_difference` and `largest_log_partition_difference`.
    """
    row, column = np.nonzero(first.top_ids != second.top_ids)
    mean_gap = np.zeros(len(row))
    differing, beyond_ties = len(row), 0
    for s, (query_sample, item_sample) in enumerate(zip(read_samples(queries), read_samples(gallery), strict=True)):
        unit_queries, unit_items = oracles.normalise(query_sample), oracles.normalise(item_sample)
        ids = first.top_ids[row, column], second.top_ids[row, column]
        mean_gap += _similarity_gap(unit_queries[row], unit_items, *ids)
        votes, other_votes = first.sample_top[:, s], second.sample_top[:, s]
        voter, place = np.nonzero(votes != other_votes)
        ids = votes[voter, place], other_votes[voter, place]
        differing += len(voter)
        beyond_ties += int((np.abs(_similarity_gap(unit_queries[voter], unit_items, *ids)) > TIE_TOLERANCE).sum())
    return {
        "queries": queries.n_items,
        "entries": first.top_ids.size + first.sample_top.size,
        "top1_differs": int((column == 0).sum()),
        "differing": differing,
        "beyond_ties": beyond_ties + int((np.abs(mean_gap) / queries.n_samples > TIE_TOLERANCE).sum()),
        "largest_score_difference": float(np.abs(first.top_scores - second.top_scores).max()),
        "largest_log_partition_difference": float(np.abs(first.log_partition - second.log_partition).max()),
    }


def _similarity_gap(queries: np.ndarray, items: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the similarity of each query (n, D) to one item minus that to another, (n,)."""
    return ((items[first] - items[second]) * queries).sum(axis=1)


def _reference_ranking(queries: EmbeddingSource, gallery: EmbeddingSource, like: Ranking) -> Ranking:
    """Rank a few queries with the float64 reference, as deeply and at the same temperatures as `like`."""
    samples = read_samples(queries), read_samples(gallery)
    top_ids, top_scores, sample_top = oracles.full_ranking(*samples, like.top_ids.shape[1], like.sample_top.shape[2])
    scores = oracles.cosine_similarities(*samples).mean(axis=0)
    log_partition, _ = oracles.softmax_sums(scores, like.temperatures)
    return replace(like, top_ids=top_ids, top_scores=top_scores, sample_top=sample_top, log_partition=log_partition)
