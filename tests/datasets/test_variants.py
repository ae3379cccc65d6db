from dataclasses import replace

import numpy as np
import pytest

from overtop.datasets.variants import draw_absent
from overtop.errors import OvertopError
from overtop.storage.split import Split


def make_split(image_ids):
    """A split in which every image has one caption."""
    captions = [f"{image_id}#0" for image_id in image_ids]
    return Split(image_ids, [""] * len(image_ids), captions, ["words"] * len(image_ids), np.arange(len(image_ids)))


IDS = [f"i{number}" for number in range(41)]


def absent_ids(image_ids, share=0.5, seed=0):
    split = draw_absent(make_split(image_ids), share, seed)
    return {image_id for image_id, absent in zip(split.image_ids, split.absent, strict=True) if absent}


@pytest.mark.parametrize(("share", "expected"), [(0.5, 20), (0.1, 4), (0.95, 39)])
def test_share_of_the_images_is_absent(share, expected):
    assert len(absent_ids(IDS, share)) == expected


def test_draw_depends_on_the_seed_and_not_on_the_order_of_the_images():
    assert absent_ids(IDS) == absent_ids(IDS[::-1])
    assert absent_ids(IDS) != absent_ids(IDS, seed=1)


def test_larger_share_contains_the_smaller_one():
    assert absent_ids(IDS, 0.3) < absent_ids(IDS, 0.7)


def test_draw_does_not_favour_a_part_of_the_split():
    """Ids are consecutive numbers; the halves of 2,000 images have about 500 absent ones each."""
    drawn = absent_ids([f"{number:04d}" for number in range(2000)])
    assert sum(image_id < "1000" for image_id in drawn) == pytest.approx(500, abs=60)


def test_everything_else_of_the_split_is_kept():
    split = make_split(IDS)
    assert vars(replace(draw_absent(split, 0.5, 0), absent=None)) == vars(split)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_share_that_leaves_no_image_on_one_side_is_an_error(share):
    with pytest.raises(OvertopError, match=r"change `absent` so that at least one"):
        draw_absent(make_split(["a", "b", "c"]), share, 0)
