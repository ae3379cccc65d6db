"""Queries of the Python API: which of them are labelled, and what a confidence model needs of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overtop.confidence.candidates import auto_estimators, default_estimator
from overtop.confidence.galleries import open_source, place
from overtop.confidence.labelling import check_labels, parse_relevant
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.registry import get_estimator, missing_requirement
from overtop.estimators.scoring import compute_uncertainty
from overtop.progress import Progress, no_progress
from overtop.retrieval.duplicates import find_first_duplicates
from overtop.retrieval.gallery_files import PreparedGallery
from overtop.retrieval.prepared import rank_queries
from overtop.retrieval.sources import SelectedItems
from overtop.retrieval.temperature import Temperatures
from overtop.storage.shards import ArraySource, EmbeddingSource
from overtop.terms import AUTO, BANK_ESTIMATORS, DIRICHLET_TEMPERATURE

TOP = 5
"""Best items of a query that are ranked, for the estimators that need no more and to count ties at the top."""

DEEP_TOP = 50
"""The same for estimators whose name ends with this number."""

WITHOUT_RIVALS = ("top1_similarity", "max_softmax", "entropy", "energy", *BANK_ESTIMATORS)
"""Estimators that do not look for the best items of other groups, which may take another product with the gallery."""


@dataclass(frozen=True)
class MeasuredQueries:
    """What a confidence model needs of Q queries.

    Attributes:
        ids: Q names.
        uncertainty: (Q,) by estimator.
        similarity: (Q,) of the top-1.
        top1: (Q,) gallery rows.
        tied: (Q,) items of the same similarity as the top-1, itself included, among the best that were ranked.
    """

    ids: list[str]
    uncertainty: Mapping[str, np.ndarray]
    similarity: np.ndarray
    top1: np.ndarray
    tied: np.ndarray


def estimator_names(estimator: str | Sequence[str] | None, has_bank: bool) -> list[str]:
    """Return the estimators to compare: the given ones, those of `auto`, or by default bank_nnn or max_softmax.

    Raises:
        OvertopError: an estimator is unknown, or needs a bank and there is none.
    """
    if estimator is None:
        return [default_estimator(has_bank)]
    if estimator == AUTO:
        return auto_estimators(has_bank)
    names = [estimator] if isinstance(estimator, str) else list(estimator)
    for name in names:
        get_estimator(name)
        if name in BANK_ESTIMATORS and not has_bank:
            raise OvertopError(f"{name} needs a bank of unlabelled queries; give `bank`, or use max_softmax")
    return names


def measure_queries(
    gallery: PreparedGallery,
    queries: EmbeddingSource,
    estimators: Sequence[str],
    *,
    dirichlet: float = DIRICHLET_TEMPERATURE,
    progress: Progress = no_progress,
) -> MeasuredQueries:
    """Rank a gallery for queries and return what a confidence model needs of them.

    Args:
        gallery: the prepared gallery; its temperature is used.
        queries: Q queries of the same encoder.
        estimators: names.
        dirichlet: temperature of the Dirichlet estimators.
        progress: called after each block of queries with the queries done and their total.

    Raises:
        OvertopError: queries and gallery differ in dimensions, an embedding is zero or not finite, or an estimator
            needs something else than a ranking.
    """
    temperatures = Temperatures(gallery.temperature, dirichlet)
    is_dirichlet = any(name.startswith("dirichlet") for name in estimators)
    sums = [temperatures.softmax, *([temperatures.dirichlet] if is_dirichlet else [])]
    top = DEEP_TOP if any(name.endswith(f"_{DEEP_TOP}") for name in estimators) else TOP
    with place("queries"):
        ranking = rank_queries(
            gallery,
            queries,
            min(top, gallery.n_items),
            sums,
            normalisations=[name for name in estimators if name in BANK_ESTIMATORS],
            rivals=not set(estimators) <= set(WITHOUT_RIVALS),
            progress=progress,
        )
    inputs = EstimatorInputs(ranking, temperatures=temperatures)
    usable = [
        name
        for name in estimators
        if len(estimators) == 1 or missing_requirement(get_estimator(name), inputs, "corrected") is None
    ]
    return MeasuredQueries(
        ids=ranking.query_ids,
        uncertainty={name: compute_uncertainty(name, inputs, "corrected") for name in usable},
        similarity=ranking.top_scores[:, 0].astype(np.float64),
        top1=ranking.top_ids[:, 0],
        tied=(ranking.top_scores == ranking.top_scores[:, :1]).sum(axis=1),
    )


def check_disjoint(bank: EmbeddingSource, queries: EmbeddingSource) -> None:
    """Check that no labelled query is in the bank, by embeddings that are equal in all samples.

    Raises:
        OvertopError: with the first query that is.
    """
    if bank.dims != queries.dims:
        return  # reported by the ranking
    both = [
        np.concatenate([source.read(sample, 0, source.n_items) for source in (bank, queries)])
        for sample in range(bank.n_samples)
    ]
    in_bank = np.flatnonzero(find_first_duplicates(ArraySource(both))[bank.n_items :] < bank.n_items)
    if in_bank.size:
        raise OvertopError(
            f"bank: contains the labelled query {queries.item_ids[in_bank[0]]!r} ({in_bank.size} such queries); the "
            "bank must be other queries: remove them from it"
        )


def select_labelled(queries: Any, relevant: Any, gallery: PreparedGallery) -> tuple[SelectedItems, list[np.ndarray]]:
    """The labelled ones of the queries, and their relevant rows."""
    source = open_source("queries", queries)
    labels = parse_relevant([relevant] if isinstance(relevant, str | int) else relevant, gallery.item_ids)
    check_labels(labels, source.n_items, "queries and relevant")
    rows = [row for row, label in enumerate(labels) if label is not None]
    return SelectedItems(source, np.array(rows)), [label for label in labels if label is not None]
