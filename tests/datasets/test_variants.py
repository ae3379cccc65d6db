from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from overtop.config.datasets import VariantDataset
from overtop.datasets.draws import draw_items
from overtop.datasets.variants import draw_absent, draw_sample, make_variant
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


def unpaired_split():
    """Ten images, of which the last four have no caption, and eight captions of no image."""
    owners = np.append(np.arange(6), np.full(8, -1))
    return Split(IDS[:10], [""] * 10, [f"c{k}" for k in range(14)], ["words"] * 14, owners)


def test_images_without_a_caption_are_never_absent():
    absent = draw_absent(unpaired_split(), 0.5, 0).absent
    assert absent[:6].tolist() == draw_items(IDS[:6], 3, 0, "absent").tolist()
    assert not absent[6:].any()


def test_sample_has_as_many_images_with_their_captions():
    split = make_split(IDS)
    sample = draw_sample(split, 8, 3)
    drawn = draw_items(IDS, 8, 3, "images")
    assert sample.image_ids == [IDS[row] for row in np.flatnonzero(drawn)]
    assert sample.caption_ids == [f"{image_id}#0" for image_id in sample.image_ids]
    assert sample.image_of_caption.tolist() == list(range(8))
    assert sample.is_sample
    assert set(sample.image_ids) < set(draw_sample(split, 20, 3).image_ids)


def test_sample_has_the_same_share_of_unpaired_captions():
    sample = draw_sample(unpaired_split(), 5, 0)
    assert len(sample.image_ids) == 5
    assert (~sample.has_image).sum() == 4
    assert (
        sample.has_image.sum() == sample.has_caption.sum() == sum(image_id in IDS[:6] for image_id in sample.image_ids)
    )


def test_sample_of_more_images_than_there_are_is_an_error():
    split = make_split(["a", "b", "c"])
    assert draw_sample(split, 3, 0).caption_ids == split.caption_ids
    with pytest.raises(OvertopError, match="the split has 3 images, of which `images: 4` are to be drawn; lower it"):
        draw_sample(split, 4, 0)


@pytest.mark.parametrize("keys", [{"absent": 0.3, "seed": 4}, {"images": 12, "seed": 4}])
def test_variant_is_the_draw_of_its_entry(keys):
    spec = VariantDataset(kind="variant", of="base", **keys)
    variant = make_variant(make_split(IDS), spec)
    expected = draw_absent(make_split(IDS), 0.3, 4) if "absent" in keys else draw_sample(make_split(IDS), 12, 4)
    assert (variant.image_ids, variant.is_sample) == (expected.image_ids, expected.is_sample)
    np.testing.assert_array_equal(variant.absent, expected.absent)


@pytest.mark.parametrize("keys", [{}, {"absent": 0.3, "images": 12}])
def test_variant_without_exactly_one_draw_is_rejected(keys):
    with pytest.raises(ValidationError, match="give either `absent` "):
        VariantDataset(kind="variant", of="base", **keys)
