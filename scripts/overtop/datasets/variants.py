"""Variants of a data set: the right answers to a share of its queries are absent from the galleries."""

from dataclasses import replace

from overtop.datasets.draws import draw_items
from overtop.errors import OvertopError
from overtop.storage.split import Split


def draw_absent(split: Split, share: float, seed: int) -> Split:
    """Return a split in which a share of the images, and their captions, are absent from the galleries.

    The draw (`draw_items`) does not depend on the order of the images, and changes little if images are added.

    Args:
        split: a split with complete galleries.
        share: of the images, in (0, 1); rounded to whole images.
        seed: of the draw.

    Raises:
        OvertopError: all or none of the images would be absent.
    """
    n_images = len(split.image_ids)
    n_absent = round(share * n_images)
    if not 0 < n_absent < n_images:
        raise OvertopError(
            f"a share of {share:g} of {n_images} images is {n_absent}; change `absent` so that at least one image is "
            "absent and one is present"
        )
    return replace(split, absent=draw_items(split.image_ids, n_absent, seed, "absent"))
