import numpy as np
import pytest

from overtop.retrieval import duplicates
from overtop.retrieval.duplicates import find_first_duplicates
from overtop.storage.shards import ArraySource


def first_duplicates_oracle(samples):
    rows = [b"".join(np.float32(sample[i]).tobytes() for sample in samples) for i in range(len(samples[0]))]
    return [rows.index(row) for row in rows]


@pytest.mark.parametrize("read_items", [3, 8192])
@pytest.mark.parametrize(("values", "dim", "samples"), [(2, 3, 1), (2, 2, 3), (3, 1, 5), (50, 4, 2), (1, 2, 2)])
def test_first_duplicates_equal_the_oracle(monkeypatch, values, dim, samples, read_items):
    monkeypatch.setattr(duplicates, "READ_ITEMS", read_items)
    rng = np.random.default_rng(values)
    arrays = [rng.integers(0, values, (40, dim)).astype(np.float32) for _ in range(samples)]
    first = find_first_duplicates(ArraySource(arrays))
    assert first.dtype == np.int64
    assert first.tolist() == first_duplicates_oracle(arrays)


def test_items_that_differ_in_the_last_bit_of_one_sample_are_no_duplicates():
    sample = np.ones((3, 4), np.float32)
    other = sample.copy()
    other[1, 3] = np.nextafter(np.float32(1), np.float32(2))
    assert find_first_duplicates(ArraySource([sample, other])).tolist() == [0, 1, 0]


def test_items_equal_in_different_samples_are_not_chained():
    # Items 0 and 1 are equal in the first sample, 1 and 2 in the second, none in both.
    arrays = [np.array([[1.0], [1.0], [2.0], [2.0]]), np.array([[3.0], [4.0], [4.0], [4.0]])]
    assert find_first_duplicates(ArraySource(arrays)).tolist() == [0, 1, 2, 2]


def test_members_of_different_dimensions_are_compared():
    arrays = [np.array([[1.0], [1.0], [1.0]]), np.array([[3.0, 1.0], [4.0, 1.0], [3.0, 1.0]])]
    assert find_first_duplicates(ArraySource(arrays)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("layout", ["F", "C"])
def test_single_item_and_other_memory_layouts(layout):
    assert find_first_duplicates(ArraySource([np.ones((1, 2))])).tolist() == [0]
    array = np.asarray(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]], np.float32), order=layout)
    assert find_first_duplicates(ArraySource([array])).tolist() == [0, 1, 0]


def test_only_items_that_are_still_equal_are_read_again():
    reads = []

    class Recorder(ArraySource):
        def read(self, sample, start, stop):
            reads.append((sample, start, stop))
            return super().read(sample, start, stop)

    array = np.random.default_rng(0).normal(size=(30, 4))
    find_first_duplicates(Recorder([array] * 3))
    assert reads == [(0, 0, 30)]
    reads.clear()
    array[17] = array[9]
    assert find_first_duplicates(Recorder([array] * 3))[17] == 9
    assert reads == [(0, 0, 30), (0, 9, 18), (1, 9, 18), (2, 9, 18)]


def test_items_that_differ_only_in_their_last_value_are_distinct():
    array = np.zeros((4, 12), dtype=np.float32)
    array[1, -1], array[3, -1] = 1, 1
    assert find_first_duplicates(ArraySource([array])).tolist() == [0, 1, 0, 1]
