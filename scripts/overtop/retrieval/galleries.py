"""The queries and galleries of a split: all items, or galleries without the items that the split declares absent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overtop.retrieval.sources import SelectedItems
from overtop.storage.shards import EmbeddingSource
from overtop.storage.split import Split
from overtop.terms import Direction


@dataclass(frozen=True)
class Retrieval:
    """Embeddings that one pass ranks.

    Attributes:
        directions: the directions in which `images` and `texts` are the queries and the gallery of the split.
        images: the images, without absent ones if they are the gallery.
        texts: the captions, likewise.
    """

    directions: Sequence[Direction]
    images: EmbeddingSource
    texts: EmbeddingSource


def split_retrievals(split: Split, images: EmbeddingSource, texts: EmbeddingSource) -> list[Retrieval]:
    """Return what has to be ranked: all items once, or for absent targets another gallery in each direction.

    All images and captions are queries; of a data set of classes only the images. An absent image is missing from the
    gallery of images, its captions are missing from the gallery of captions.

    Args:
        split: the pairs of images and captions, and which images are absent.
        images: images of the split; skipped ones may be missing.
        texts: captions of the split, likewise.

    Raises:
        OvertopError: a caption is not in the split.
    """
    if split.absent is None:
        return [Retrieval(split.directions, images, texts)]
    return [
        Retrieval(("t2i",), select_gallery(split, "t2i", images), texts),
        Retrieval(("i2t",), images, select_gallery(split, "i2t", texts)),
    ]


def select_gallery(split: Split, direction: Direction, items: EmbeddingSource) -> EmbeddingSource:
    """Return the items of a split that are in the gallery of a direction: all but those that it declares absent.

    Args:
        split: the pairs of images and captions, and which images are absent.
        direction: `t2i` for the gallery of images, `i2t` for that of captions.
        items: the images, or the captions; skipped ones may be missing.

    Raises:
        OvertopError: a caption is not in the split.
    """
    if split.absent is None:
        return items
    if direction == "i2t":
        return SelectedItems(items, np.flatnonzero(~split.absent[split.image_rows(items.item_ids, split.image_ids)]))
    absent_ids = {image_id for image_id, absent in zip(split.image_ids, split.absent, strict=True) if absent}
    present = [row for row, image_id in enumerate(items.item_ids) if image_id not in absent_ids]
    return SelectedItems(items, np.array(present, dtype=np.int64))
