"""Variants of a data set: right answers that are absent from the galleries, and galleries of another size."""

from dataclasses import replace

import numpy as np

from overtop.config.datasets import VariantDataset
from overtop.datasets.draws import draw_items
from overtop.errors import OvertopError
from overtop.storage.split import Split


def make_variant(split: Split, spec: VariantDataset) -> Split:
    """Return the variant of a split.

    Args:
        split: of the base.
        spec: the entry of the variant.

    Raises:
        OvertopError: as `draw_absent` and `draw_sample`.
    """
    if spec.absent is not None:
        return draw_absent(split, spec.absent, spec.seed)
    assert spec.images is not None, "a variant has one of both"
    return draw_sample(split, spec.images, spec.seed)


def draw_absent(split: Split, share: float, seed: int) -> Split:
    """Return a split in which a share of the images, and their captions, are absent from the galleries.

    Images without a caption stay: they are the right answer to no query. The draw (`draw_items`) does not depend on the
    order of the images, and changes little if images are added.

    Args:
        split: a split with complete galleries.
        share: of the images with captions, in (0, 1); rounded to whole images.
        seed: of the draw.

    Raises:
        OvertopError: all or none of the images would be absent.
    """
    paired = np.flatnonzero(split.has_caption)
    n_absent = round(share * len(paired))
    if not 0 < n_absent < len(paired):
        noun = "images" if len(paired) == len(split.image_ids) else "images with captions"
        raise OvertopError(
            f"a share of {share:g} of {len(paired)} {noun} is {n_absent}; change `absent` so that at least one image "
            "is absent and one is present"
        )
    absent = np.zeros(len(split.image_ids), dtype=bool)
    absent[paired] = draw_items([split.image_ids[row] for row in paired], n_absent, seed, "absent")
    return replace(split, absent=absent)


def draw_sample(split: Split, n_images: int, seed: int) -> Split:
    """Return a split of some images with their captions, and of as large a share of the captions of unknown images.

    Args:
        split: a split with complete galleries.
        n_images: number of images to draw (`draw_items`); a larger draw contains a smaller one.
        seed: of the draw.

    Raises:
        OvertopError: there are fewer images than are to be drawn.
    """
    if n_images > len(split.image_ids):
        raise OvertopError(
            f"the split has {len(split.image_ids)} images, of which `images: {n_images}` are to be drawn; lower it"
        )
    images = draw_items(split.image_ids, n_images, seed, "images")
    unpaired = np.flatnonzero(~split.has_image)
    captions = np.zeros(len(split.captions), dtype=bool)
    n_captions = round(n_images / len(split.image_ids) * len(unpaired))
    captions[unpaired] = draw_items([split.caption_ids[row] for row in unpaired], n_captions, seed, "images")
    return replace(split.select(images, captions), is_sample=True)
