from dataclasses import replace

import numpy as np
import pytest

from helpers.oracles import full_ranking
from overtop.radius.compute import compute_radii
from overtop.retrieval.exact import rank
from overtop.retrieval.galleries import select_gallery, select_modality, split_retrievals
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split

N_IMAGES = 9
IMAGE_OF_CAPTION = np.repeat(np.arange(N_IMAGES), [1, 2, 3, 1, 2, 3, 1, 2, 3])
N_CAPTIONS = len(IMAGE_OF_CAPTION)
ABSENT = np.array([True, False, True, True, False, False, True, False, False])


def make_split(absent):
    return Split(
        image_ids=[f"i{number}" for number in range(N_IMAGES)],
        image_paths=[""] * N_IMAGES,
        caption_ids=[f"c{number}" for number in range(N_CAPTIONS)],
        captions=["words"] * N_CAPTIONS,
        image_of_caption=IMAGE_OF_CAPTION,
        absent=absent,
    )


def random_samples(seed, items, dims=(6, 4)):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(items, dim)).astype(np.float32) for dim in dims]


IMAGES, TEXTS = random_samples(0, N_IMAGES), random_samples(1, N_CAPTIONS)
IMAGES[0][5], IMAGES[1][5] = IMAGES[0][4], IMAGES[1][4]  # exact duplicates: a tie at the top


def test_complete_galleries_are_ranked_in_one_pass():
    images, texts = ArraySource(IMAGES), ArraySource(TEXTS)
    (retrieval,) = split_retrievals(make_split(None), images, texts)
    assert (retrieval.directions, retrieval.images, retrieval.texts) == (("t2i", "i2t"), images, texts)


@pytest.mark.parametrize("skipped_image", [None, 1, 2])
def test_every_query_ranks_the_gallery_without_absent_items(skipped_image):
    """Rankings and radii equal those of arrays from which the absent items were deleted."""
    split = make_split(ABSENT)
    rows = np.array([number for number in range(N_IMAGES) if number != skipped_image])
    images = ArraySource([sample[rows] for sample in IMAGES], [split.image_ids[row] for row in rows])
    texts = ArraySource(TEXTS, split.caption_ids)
    present = {"t2i": [row for row in rows if not ABSENT[row]], "i2t": np.flatnonzero(~ABSENT[IMAGE_OF_CAPTION])}
    for retrieval in split_retrievals(split, images, texts):
        (direction,) = retrieval.directions
        ranking = rank(retrieval.images, retrieval.texts, 4, vote_top=2)[direction]
        items, gallery_ids = (IMAGES, split.image_ids) if direction == "t2i" else (TEXTS, split.caption_ids)
        gallery = [sample[present[direction]] for sample in items]
        queries = TEXTS if direction == "t2i" else [sample[rows] for sample in IMAGES]
        assert ranking.query_ids == (texts if direction == "t2i" else images).item_ids
        assert ranking.gallery_ids == [gallery_ids[row] for row in present[direction]]
        top_ids, top_scores, sample_top = full_ranking(queries, gallery, 4, 2)
        np.testing.assert_array_equal(ranking.top_ids, top_ids)
        np.testing.assert_allclose(ranking.top_scores, top_scores, atol=1e-6)
        np.testing.assert_array_equal(ranking.sample_top, sample_top)
        radii = compute_radii(retrieval.images, retrieval.texts, {direction: ranking})
        np.testing.assert_array_equal(radii[direction].corrected.top1, top_ids[:, 0])


def test_sample_has_the_items_of_the_split_as_queries_and_as_galleries():
    """Rankings equal those of arrays from which all other items were deleted; image 4 was skipped."""
    images, captions = np.isin(np.arange(N_IMAGES), [1, 4, 5, 8]), np.zeros(N_CAPTIONS, dtype=bool)
    split = replace(make_split(None).select(images, captions), is_sample=True)
    embedded = np.delete(np.arange(N_IMAGES), 4)
    sources = (
        ArraySource([sample[embedded] for sample in IMAGES], [f"i{row}" for row in embedded]),
        ArraySource(TEXTS, [f"c{row}" for row in range(N_CAPTIONS)]),
    )
    (retrieval,) = split_retrievals(split, *sources)
    assert retrieval.images.item_ids == ["i1", "i5", "i8"]
    assert retrieval.texts.item_ids == split.caption_ids
    own = [sample[np.isin(IMAGE_OF_CAPTION, [1, 4, 5, 8])] for sample in TEXTS]
    top_ids, top_scores, _ = full_ranking(own, [sample[[1, 5, 8]] for sample in IMAGES], 3, 2)
    ranking = rank(retrieval.images, retrieval.texts, 3, vote_top=2)["t2i"]
    np.testing.assert_array_equal(ranking.top_ids, top_ids)
    np.testing.assert_allclose(ranking.top_scores, top_scores, atol=1e-6)


def test_captions_of_unknown_images_are_never_absent():
    owners = np.append(IMAGE_OF_CAPTION, [-1, -1])
    ids = [f"c{number}" for number in range(len(owners))]
    split = Split([f"i{n}" for n in range(N_IMAGES)], [""] * N_IMAGES, ids, ["words"] * len(ids), owners, absent=ABSENT)
    texts = ArraySource(random_samples(2, len(ids)), ids)
    _, retrieval = split_retrievals(split, ArraySource(IMAGES, split.image_ids), texts)
    present = [k for k, image in enumerate(owners) if image < 0 or not ABSENT[image]]
    assert retrieval.texts.item_ids == [ids[k] for k in present]


def test_gallery_of_one_side_is_that_of_the_retrieval():
    split = make_split(ABSENT)
    images, texts = ArraySource(IMAGES, split.image_ids), ArraySource(TEXTS, split.caption_ids)
    t2i, i2t = split_retrievals(split, images, texts)
    assert select_gallery(split, "t2i", images).item_ids == t2i.images.item_ids
    assert select_gallery(split, "i2t", texts).item_ids == i2t.texts.item_ids
    assert select_gallery(make_split(None), "t2i", images) is images


def test_items_of_a_sample_are_selected_from_those_of_the_whole_split():
    whole = make_split(None)
    captions = np.flatnonzero(IMAGE_OF_CAPTION == 2)
    sample = Split(
        image_ids=["i2"],
        image_paths=[""],
        caption_ids=[f"c{number}" for number in captions],
        captions=["words"] * len(captions),
        image_of_caption=np.zeros(len(captions), dtype=np.int64),
        is_sample=True,
    )
    assert select_modality(sample, "image", ArraySource(IMAGES, whole.image_ids)).item_ids == ["i2"]
    selected = select_modality(sample, "text", ArraySource(TEXTS, whole.caption_ids))
    assert selected.item_ids == sample.caption_ids
    np.testing.assert_array_equal(selected.read(0, 0, len(captions)), TEXTS[0][captions])
    assert select_modality(whole, "text", selected) is selected
