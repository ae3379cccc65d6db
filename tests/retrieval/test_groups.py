import numpy as np
import pytest

from helpers import oracles
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.groups import GroupedItems, declare_groups, merge_duplicates
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split

SPLIT = Split(
    image_ids=["a", "b", "c"],
    image_paths=[""] * 3,
    caption_ids=["a1", "a2", "b1", "c1", "c2"],
    captions=["x"] * 5,
    image_of_caption=np.array([0, 0, 1, 2, 2]),
)


def test_captions_of_an_image_are_a_group_and_images_are_not():
    assert declare_groups(SPLIT, "i2t", ["a1", "a2", "c1", "c2"]).tolist() == [0, 0, 2, 2]
    assert declare_groups(SPLIT, "t2i", ["a", "c"]).tolist() == [0, 1]


def test_duplicates_join_the_group_of_the_first_of_them():
    # Item 4 equals item 1 of the first group, item 5 equals item 3.
    groups = merge_duplicates(np.array([7, 7, 2, 2, 5, 9, 9]), np.array([0, 1, 2, 3, 1, 3, 6]))
    assert groups.tolist() == [0, 0, 2, 2, 0, 2, 6]


@pytest.mark.parametrize("seed", range(5))
def test_merged_groups_equal_the_loop(seed):
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(0, 3, (2, 30, 2)).astype(np.float32)
    declared = np.sort(rng.integers(0, 8, 30))
    distinct = DistinctItems.find(ArraySource(list(embeddings)))
    expected = oracles.partition(embeddings, declared)
    np.testing.assert_array_equal(merge_duplicates(declared, distinct.first), expected)


@pytest.mark.parametrize("size", [1, 2, 5, 7, 40, 1000])
def test_slices_hold_whole_groups_and_at_most_as_many_items_as_asked(size):
    rng = np.random.default_rng(size)
    declared = np.repeat(np.arange(20), rng.integers(1, 8, 20))
    grouped = GroupedItems(DistinctItems.find(ArraySource([rng.normal(size=(len(declared), 3))])), declared)
    slices = grouped.cut(grouped.all, size)
    assert slices[0].start == 0
    assert slices[-1].stop == len(declared)
    assert all(left.stop == right.start for left, right in zip(slices, slices[1:], strict=False))
    for part in slices:
        groups = declared[part]
        assert part.start == 0 or declared[part.start - 1] != groups[0]
        assert len(groups) <= size or len(set(groups)) == 1


def test_items_without_groups_are_cut_evenly():
    grouped = GroupedItems(DistinctItems.find(ArraySource([np.arange(1.0, 26.0)[:, None]])))
    assert grouped.are_single
    assert [part.stop - part.start for part in grouped.cut(grouped.all, 10)] == [9, 9, 7]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 12])
def test_best_items_of_distinct_ones_are_expanded_as_by_a_sort(seed, k):
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(0, 3, (12, 2)).astype(np.float32)
    items = DistinctItems.find(ArraySource([embeddings]))
    scores = rng.integers(0, 4, (6, len(items.rows))).astype(np.float32)  # different items are tied, too
    best = min(k, len(items.rows))
    ids = np.array([oracles.descending_order(row)[:best] for row in scores], dtype=np.int32)
    expanded, of_expanded = items.expand(ids, np.take_along_axis(scores, ids, axis=1), k)
    all_scores = scores[:, items.position]
    expected = np.array([oracles.descending_order(row)[:k] for row in all_scores])
    np.testing.assert_array_equal(expanded, expected)
    np.testing.assert_array_equal(of_expanded, np.take_along_axis(all_scores, expected, axis=1))
    assert expanded.dtype == np.int32


def test_each_caption_of_an_unknown_image_is_a_group_of_its_own():
    captions = ["a1", "a2", "c1", "x", "y", "z"]
    split = Split([*"abc"], [""] * 3, captions, ["words"] * 6, np.array([0, 0, 2, -1, -1, -1]))
    assert declare_groups(split, "i2t", captions).tolist() == [0, 0, 2, 3, 4, 5]
    assert declare_groups(split, "i2t", ["a2", "c1", "y", "z"]).tolist() == [0, 2, 3, 4]
    embeddings = np.arange(12, dtype=np.float32).reshape(6, 2) + 1
    embeddings[4] = embeddings[0]  # `y` is a copy of `a1`
    items = GroupedItems(
        DistinctItems.find(ArraySource([embeddings], captions)), declare_groups(split, "i2t", captions)
    )
    assert items.groups.tolist() == [0, 0, 2, 3, 0, 5]
