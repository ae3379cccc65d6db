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
    """Rank in both directions, with the softmax sums at both default temperatures; captions of an image are a group."""
    temperatures = (TEMPERATURES.softmax, TEMPERATURES.dirichlet)
    groups = {"i2t": caption_images(texts.n_items, images.n_items)}
    options = {"temperatures": temperatures, "groups": groups, "precision": precision, "device": device}
    return rank(images, texts, TOP, VOTE_TOP, **options)


def caption_images(captions: int, images: int) -> np.ndarray:
    """Return the image of each synthetic caption, (captions,)."""
    return np.arange(captions) * images // captions


def read_samples(source: EmbeddingSource) -> list[np.ndarray]:
    """Read all embeddings: S arrays (n, D)."""
    return [source.read(s, 0, source.n_items) for s in range(source.n_samples)]
