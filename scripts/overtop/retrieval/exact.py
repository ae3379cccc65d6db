"""The exact ranking pass: every query with every gallery item, in both directions at once.

Tests compare the rankings with a sort of the whole matrix in float64.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Unpack

import numpy as np

from overtop.errors import OvertopError
from overtop.progress import Progress, no_progress
from overtop.retrieval.accumulator import RankingContents
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.ranking_pass import PassOptions, RankingPass
from overtop.retrieval.sources import check_sources
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRECTIONS, VOTE_TOP, Direction


def rank(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = VOTE_TOP,
    temperatures: Iterable[float] = (),
    *,
    groups: Mapping[Direction, np.ndarray] | None = None,
    normalisations: Mapping[Direction, Normalisation] | None = None,
    directions: Collection[Direction] = DIRECTIONS,
    progress: Progress = no_progress,
    **options: Unpack[PassOptions],
) -> dict[Direction, Ranking]:
    """Rank images for every caption (`t2i`) and captions for every image (`i2t`) in one pass.

    Items with identical embeddings in all samples are ranked once, and so are identical queries: equal items have equal
    results, whatever the blocks, threads and precision.

    Memory in addition to twice the outputs: `resident` bytes of images, all samples of one block of captions, and two
    blocks of captions x images per thread. Images are read once; captions once per `resident` bytes of images.

    Args:
        images: N items, S samples.
        texts: M items, S samples.
        top: K, number of best items by mean similarity (at most the size of the gallery).
        vote_top: k, number of best items in each sample.
        temperatures: temperatures of the softmax over the gallery.
        groups: by direction, the declared group (N,) of each gallery item; items of a group must follow each other.
            By default only duplicates belong together.
        normalisations: by direction, offsets of the gallery items, for the results in `Ranking.normalised`.
        directions: the directions to rank.
        progress: called after each block of captions with the captions done and their total.
        options: see `PassOptions`.

    Raises:
        OvertopError: the sources differ in samples or dimensions, one is empty, an embedding is zero or not finite, or
            a temperature is not positive.

    Example:
        >>> import numpy as np
        >>> from overtop.storage.shards import ArraySource
        >>> images, texts = ArraySource([np.eye(3)]), ArraySource([np.array([[0.1, 0.9, 0.2], [0.8, 0.3, 0.1]])])
        >>> rank(images, texts, top=2)["t2i"].top_ids.tolist()
        [[1, 2], [0, 1]]
    """
    return prepare_pass(
        images,
        texts,
        RankingContents(top, vote_top, sort_temperatures(temperatures)),
        groups=groups or {},
        normalisations=normalisations or {},
        directions=directions,
        **options,
    ).rank(progress)


def prepare_pass(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    contents: RankingContents,
    *,
    groups: Mapping[Direction, np.ndarray],
    normalisations: Mapping[Direction, Normalisation],
    directions: Collection[Direction],
    **options: Unpack[PassOptions],
) -> RankingPass:
    """Find duplicates and groups, and return the pass that `rank` makes; arguments as there."""
    check_sources(images, texts)
    return RankingPass(
        GroupedItems(DistinctItems.find(images), groups.get("t2i")),
        GroupedItems(DistinctItems.find(texts), groups.get("i2t")),
        contents,
        normalisations=normalisations,
        directions=directions,
        **options,
    )


def sort_temperatures(temperatures: Iterable[float]) -> tuple[float, ...]:
    """Return the distinct temperatures in ascending order.

    Raises:
        OvertopError: a temperature is not positive and finite.
    """
    ascending = tuple(sorted({float(temperature) for temperature in temperatures}))
    if not all(0 < temperature < float("inf") for temperature in ascending):
        raise OvertopError(f"temperatures {ascending} are not all above 0 and finite; correct them")
    return ascending
