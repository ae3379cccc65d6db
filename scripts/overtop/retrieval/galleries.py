"""The queries and galleries of a split: all its items, or galleries without those that it declares absent."""

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
        images: images of the split, or of the larger one that it is a sample of; skipped ones may be missing.
        texts: captions, likewise.

    Raises:
        OvertopError: a caption is not in the split.
    """
    images, texts = select_sample(split, images, texts)
    if split.absent is None:
        return [Retrieval(split.directions, images, texts)]
    absent_ids = {image_id for image_id, absent in zip(split.image_ids, split.absent, strict=True) if absent}
    present_images = [row for row, image_id in enumerate(images.item_ids) if image_id not in absent_ids]
    is_absent = np.append(split.absent, False)  # of the captions whose image is -1
    present_texts = ~is_absent[split.image_rows(texts.item_ids, split.image_ids)]
    return [
        Retrieval(("t2i",), SelectedItems(images, np.array(present_images, dtype=np.int64)), texts),
        Retrieval(("i2t",), images, SelectedItems(texts, np.flatnonzero(present_texts))),
    ]


def select_sample(
    split: Split, images: EmbeddingSource, texts: EmbeddingSource
) -> tuple[EmbeddingSource, EmbeddingSource]:
    """Return the images and captions of a split; if it is a sample of a larger one, without the other items of that."""
    if not split.is_sample:
        return images, texts
    return _select_items(images, split.image_ids), _select_items(texts, split.caption_ids)


def _select_items(source: EmbeddingSource, ids: Sequence[str]) -> SelectedItems:
    chosen = set(ids)
    rows = [row for row, item_id in enumerate(source.item_ids) if item_id in chosen]
    return SelectedItems(source, np.array(rows, dtype=np.int64))
