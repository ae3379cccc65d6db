"""The ranking passes of a split: one over all its items, or one in each direction if it declares images absent."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from overtop.retrieval.accumulator import RankingContents
from overtop.retrieval.exact import prepare_pass, sort_temperatures
from overtop.retrieval.galleries import Retrieval, split_retrievals
from overtop.retrieval.groups import declare_groups
from overtop.retrieval.normalisation import Normalisation, read_normalisations
from overtop.retrieval.ranking_pass import RankingPass
from overtop.retrieval.sources import queries_and_gallery
from overtop.storage.shards import EmbeddingSource
from overtop.storage.split import Split
from overtop.terms import VOTE_TOP, Direction


class Declared(TypedDict):
    """What is declared about the galleries of a retrieval; see `retrieval.exact.rank`."""

    groups: Mapping[Direction, np.ndarray]
    normalisations: Mapping[Direction, Normalisation]
    directions: Sequence[Direction]


def read_declared(split: Split, retrieval: Retrieval, bank: str | Path | None) -> Declared:
    """Return the groups and the offsets of the galleries of a retrieval.

    Args:
        split: the pairs of images and captions.
        retrieval: what is ranked.
        bank: file of the offsets; nothing if there is no bank.

    Raises:
        OvertopError: the file of the offsets is missing or damaged, or lacks an item.
    """
    galleries = {
        direction: queries_and_gallery(direction, retrieval.images, retrieval.texts)[1].item_ids
        for direction in retrieval.directions
    }
    return {
        "groups": {direction: declare_groups(split, direction, gallery) for direction, gallery in galleries.items()},
        "normalisations": read_normalisations(bank, galleries) if bank else {},
        "directions": retrieval.directions,
    }


def split_passes(
    split: Split,
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    temperatures: Iterable[float],
    bank: str | Path | None,
) -> list[RankingPass]:
    """Return the passes that rank a split exactly.

    Args:
        split: the pairs of images and captions, and which images are absent.
        images: images of the split, or of the larger one that it is a sample of.
        texts: captions, likewise.
        top: number of best items per query.
        temperatures: temperatures of the softmax over the gallery.
        bank: file of the offsets of the galleries; nothing if there is no bank.
    """
    contents = RankingContents(top, VOTE_TOP, sort_temperatures(temperatures))
    return [
        prepare_pass(retrieval.images, retrieval.texts, contents, **read_declared(split, retrieval, bank))
        for retrieval in split_retrievals(split, images, texts)
    ]
