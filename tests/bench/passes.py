"""The calls under measurement, as the pipeline makes them."""

from collections.abc import Mapping

from overtop.retrieval.exact import rank
from overtop.retrieval.matmul import Precision
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.temperature import Temperatures
from overtop.storage.shards import EmbeddingSource
from overtop.terms import Direction

CPU = "cpu"
TOP, VOTE_TOP = 50, 5
TEMPERATURES = Temperatures()


def ranked(
    images: EmbeddingSource, texts: EmbeddingSource, precision: Precision = "auto", device: str = CPU
) -> Mapping[Direction, Ranking]:
    """The ranking pass, with the softmax at both temperatures."""
    kept = (TEMPERATURES.softmax, TEMPERATURES.dirichlet)
    return rank(images, texts, TOP, VOTE_TOP, temperatures=kept, precision=precision, device=device)


def sides(
    direction: Direction, images: EmbeddingSource, texts: EmbeddingSource
) -> tuple[EmbeddingSource, EmbeddingSource]:
    """(queries, gallery)."""
    return (texts, images) if direction == "t2i" else (images, texts)
