"""The ranking pass with the options of the pipeline, as the parts of the benchmark call it."""

from collections.abc import Mapping

import numpy as np

from overtop.retrieval.exact import rank
from overtop.retrieval.matmul import Precision
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.temperature import Temperatures
from overtop.storage.shards import EmbeddingSource
from overtop.terms import VOTE_TOP, Direction

CPU = "cpu"
TOP = 50
TEMPERATURES = Temperatures()


def rank_embeddings(
    images: EmbeddingSource, texts: EmbeddingSource, precision: Precision = "auto", device: str = CPU
) -> Mapping[Direction, Ranking]:
    """Rank in both directions, with the softmax sums at both default temperatures."""
    temperatures = (TEMPERATURES.softmax, TEMPERATURES.dirichlet)
    return rank(images, texts, TOP, VOTE_TOP, temperatures=temperatures, precision=precision, device=device)


def read_samples(source: EmbeddingSource) -> list[np.ndarray]:
    """Read all embeddings: S arrays (n, D)."""
    return [source.read(s, 0, source.n_items) for s in range(source.n_samples)]
