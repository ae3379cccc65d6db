"""The queries and galleries of a split: all its items, or galleries without those that it declares absent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overtop.retrieval.sources import SelectedItems
from overtop.storage.shards import EmbeddingSource
from overtop.storage.split import Split
from overtop.terms import Direction, Modality


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
        images: images of the split, or of the larger one that it is a sample of; skipped ones may be missing.
        texts: captions, likewise.

    Raises:
        OvertopError: a caption is not in the split.
    """
    images, texts = select_sample(split, images, texts)
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
        items: the images, or the captions, of the split; skipped ones may be missing.

    Raises:
        OvertopError: a caption is not in the split.
    """
    if split.absent is None:
        return items
    if direction == "i2t":
        is_absent = np.append(split.absent, False)  # of the captions whose image is -1
        return SelectedItems(items, np.flatnonzero(~is_absent[split.image_rows(items.item_ids, split.image_ids)]))
    absent_ids = {image_id for image_id, absent in zip(split.image_ids, split.absent, strict=True) if absent}
    present = [row for row, image_id in enumerate(items.item_ids) if image_id not in absent_ids]
    return SelectedItems(items, np.array(present, dtype=np.int64))


def select_sample(
    split: Split, images: EmbeddingSource, texts: EmbeddingSource
) -> tuple[EmbeddingSource, EmbeddingSource]:
    """Return the images and captions of a split; if it is a sample of a larger one, without the other items of that."""
    return select_modality(split, "image", images), select_modality(split, "text", texts)


def select_modality(split: Split, modality: Modality, items: EmbeddingSource) -> EmbeddingSource:
    """Return the items of one modality of a split; if it is a sample of a larger one, without the other items of that.

    Args:
        split: the split.
        modality: what the items are.
        items: of the split, or of the larger one; skipped ones may be missing.
    """
    if not split.is_sample:
        return items
    chosen = set(split.image_ids if modality == "image" else split.caption_ids)
    rows = [row for row, item_id in enumerate(items.item_ids) if item_id in chosen]
    return SelectedItems(items, np.array(rows, dtype=np.int64))
