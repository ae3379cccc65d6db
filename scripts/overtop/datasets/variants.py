"""Variants of a data set: the right answers to a share of its queries are absent from the galleries."""

from dataclasses import replace

import numpy as np

from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.split import Split


def draw_absent(split: Split, share: float, seed: int) -> Split:
    """Return a split in which a share of the images, and their captions, are absent from the galleries.

    Every image has a pseudo-random number that depends on its id and the seed; those with the lowest numbers are
    absent. The draw does not depend on the order of the images, and changes little if images are added.

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
    numbers = [derive_seed(seed, "absent", image_id) for image_id in split.image_ids]
    absent = np.zeros(n_images, dtype=bool)
    absent[np.argsort(numbers, kind="stable")[:n_absent]] = True
    return replace(split, absent=absent)
