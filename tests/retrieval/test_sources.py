import numpy as np
import pytest

from overtop.retrieval import sources
from overtop.retrieval.sources import SelectedItems, average_samples, queries_and_gallery
from overtop.storage.shards import ArraySource


@pytest.mark.parametrize("budget", [1, 2**20])
def test_mean_is_the_same_in_memory_and_computed_in_reads(budget, monkeypatch):
    monkeypatch.setattr(sources, "MAX_ARRAY_BYTES", budget)
    rng = np.random.default_rng(4)
    source = ArraySource([1.0 + rng.normal(size=(11, 12)) for _ in range(3)])
    mean = average_samples(source)
    assert isinstance(mean, ArraySource) == (budget > 1)
    assert (mean.n_samples, mean.n_items, mean.dims, mean.item_ids) == (1, 11, (12,), source.item_ids)
    expected = np.mean([source.read(s, 3, 9) for s in range(3)], axis=0, dtype=np.float64)
    np.testing.assert_allclose(mean.read(0, 3, 9), expected, rtol=1e-6)
    assert mean.read(0, 3, 9).dtype == np.float32


def test_captions_are_the_queries_of_t2i():
    images, texts = ArraySource([np.ones((2, 3))]), ArraySource([np.ones((4, 3))])
    assert queries_and_gallery("t2i", images, texts) == (texts, images)
    assert queries_and_gallery("i2t", images, texts) == (images, texts)


class CountingSource(ArraySource):
    """Records the largest number of items that were read at once."""

    largest = 0

    def read(self, sample, start, stop):
        self.largest = max(self.largest, stop - start)
        return super().read(sample, start, stop)


def test_read_of_sparse_selection_takes_few_items_at_a_time(monkeypatch):
    monkeypatch.setattr(sources, "READ_ITEMS", 100)
    array = np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32)
    source, rows = CountingSource([array]), np.arange(7, 5000, 250)
    np.testing.assert_array_equal(SelectedItems(source, rows).read(0, 0, len(rows)), array[rows])
    assert source.largest <= 100


@pytest.mark.parametrize("block", [1, 4, 100])
@pytest.mark.parametrize("selected", [[], [3], [0, 1, 8], range(9)])
def test_selected_items_are_read_as_rows_of_the_other_source(selected, block, monkeypatch):
    monkeypatch.setattr(sources, "READ_ITEMS", block)
    arrays = [np.random.default_rng(0).normal(size=(9, dim)).astype(np.float32) for dim in (6, 4)]
    part = SelectedItems(ArraySource(arrays), np.array(selected, dtype=np.int64))
    assert part.item_ids == [str(number) for number in selected]
    assert (part.n_items, part.n_samples, part.dims) == (len(selected), 2, (6, 4))
    for sample, array in enumerate(arrays):
        for start in range(len(selected) + 1):
            for stop in range(start, len(selected) + 1):
                np.testing.assert_array_equal(part.read(sample, start, stop), array[list(selected)[start:stop]])
