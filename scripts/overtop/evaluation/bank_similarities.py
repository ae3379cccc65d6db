"""The dense similarities of a split and of several banks, for `evaluation.bank_ablation`."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.sparse import csr_array

from overtop.errors import OvertopError
from overtop.evaluation.bank_ablation import Banks, Gallery
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import positives_matrix
from overtop.retrieval.similarities import mean_similarities
from overtop.retrieval.sources import SelectedItems, queries_and_gallery
from overtop.retrieval.vectors import read_unit_vectors
from overtop.seeds import derive_seed
from overtop.storage.shards import EmbeddingSource
from overtop.storage.split import Split
from overtop.terms import Direction

CPU = "cpu"

N_TOPICS = 10
"""Clusters of the bank's queries, of which one is removed at a time."""

Sources = tuple[EmbeddingSource, EmbeddingSource]
"""The images and texts of a split."""


class Evaluated(NamedTuple):
    """The queries of one direction with a known match, and their gallery.

    Attributes:
        queries: Q queries.
        gallery: N items.
        positives: (Q, N) sparse, the labelled positives.
    """

    queries: EmbeddingSource
    gallery: EmbeddingSource
    positives: csr_array


def evaluated_queries(direction: Direction, split: Split, ranking: Ranking, evaluated: Sources) -> Evaluated:
    """The queries of one direction with a known match.

    Args:
        direction: `t2i` or `i2t`.
        split: the pairs of images and captions.
        ranking: of the direction.
        evaluated: images and texts of the ranking.

    Raises:
        OvertopError: no query has a known match.
    """
    queries, gallery = queries_and_gallery(direction, *evaluated)
    positives = positives_matrix(split, direction, ranking, extended=False)
    rows = np.flatnonzero(np.diff(positives.indptr) > 0)
    if not rows.size:
        raise OvertopError(f"{direction}: no query has a known match; pair images and captions")
    return Evaluated(SelectedItems(queries, rows), gallery, positives[rows])


def make_gallery(evaluated: Evaluated, ranking: Ranking, temperature: float) -> Gallery:
    """The evaluated queries of one direction and their gallery.

    Args:
        evaluated: the queries and the gallery.
        ranking: of the direction, for its groups.
        temperature: T of the softmax.
    """
    similarity = mean_similarities(evaluated.queries, evaluated.gallery, CPU)
    return Gallery(similarity, evaluated.positives, ranking.item_groups, temperature)


def make_banks(direction: Direction, evaluated: Evaluated, own: Sources, foreign: Sources | None, seed: int) -> Banks:
    """The banks to compare in one direction.

    Args:
        direction: `t2i` or `i2t`.
        evaluated: the queries and the gallery.
        own: images and texts of the declared bank.
        foreign: images and texts of another data set; None to leave it out.
        seed: of the clusters.
    """
    queries, gallery = evaluated.queries, evaluated.gallery
    bank, of_gallery_modality = queries_and_gallery(direction, *own)
    return Banks(
        mean_similarities(bank, gallery, CPU),
        mean_similarities(of_gallery_modality, gallery, CPU),
        None if foreign is None else mean_similarities(queries_and_gallery(direction, *foreign)[0], gallery, CPU),
        *assign_topics(bank, queries, seed),
    )


def assign_topics(bank: EmbeddingSource, queries: EmbeddingSource, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of the bank's queries by k-means, (B,), and the cluster that each evaluated query is nearest to, (Q,).

    The first sample of the embeddings is used.
    """
    vectors = _first_sample(bank).astype(np.float64)
    rng = np.random.default_rng(derive_seed(seed, "topics"))
    centres, topic_of_bank = kmeans2(vectors, min(N_TOPICS, len(vectors)), minit="++", rng=rng)
    distances = (centres**2).sum(axis=1) - 2 * _first_sample(queries) @ centres.T
    return topic_of_bank, distances.argmin(axis=1)


def _first_sample(source: EmbeddingSource) -> np.ndarray:
    """The unit embeddings of all items in the first sample."""
    return read_unit_vectors(source, 0, slice(0, source.n_items), CPU).numpy()
