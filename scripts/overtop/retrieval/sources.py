"""The embedding sources of a retrieval: their roles as queries and gallery, their checks, their mean over samples."""

import numpy as np

from overtop.errors import OvertopError
from overtop.memory import MAX_ARRAY_BYTES, READ_ITEMS
from overtop.storage.shards import ArraySource, EmbeddingSource
from overtop.terms import Direction


def queries_and_gallery(
    direction: Direction, images: EmbeddingSource, texts: EmbeddingSource
) -> tuple[EmbeddingSource, EmbeddingSource]:
    """Return the sources of the queries and of the gallery in one direction."""
    return (texts, images) if direction == "t2i" else (images, texts)


def check_sources(images: EmbeddingSource, texts: EmbeddingSource) -> None:
    """Check that images and captions can be compared.

    Raises:
        OvertopError: the sources differ in samples or dimensions, or one of them is empty.
    """
    if images.dims != texts.dims:
        raise OvertopError(
            f"images have samples of dimensions {images.dims}, texts {texts.dims}; "
            "both must come from the same encoders and the same number of passes"
        )
    if not images.n_items or not texts.n_items:
        empty = "images" if not images.n_items else "texts"
        raise OvertopError(f"there are no {empty} to rank; check the split of the data set")


class SelectedItems:
    """An `EmbeddingSource` of some items of another one, in the same order.

    A read takes at most `READ_ITEMS` items of the other source at a time, whatever the share of selected ones.

    Args:
        source: the other source.
        rows: (n,) ascending indices of its items to use.
    """

    def __init__(self, source: EmbeddingSource, rows: np.ndarray) -> None:
        self._source, self._rows = source, rows
        self.item_ids = [source.item_ids[row] for row in rows]
        self.dims = source.dims

    @property
    def n_samples(self) -> int:
        """The number of samples S."""
        return self._source.n_samples

    @property
    def n_items(self) -> int:
        """The number of selected items."""
        return len(self._rows)

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Un-normalised float32 embeddings of the selected items `start` to `stop`: (stop - start, D)."""
        rows = self._rows[start:stop]
        if not len(rows):
            return self._source.read(sample, 0, 0)
        parts = np.split(rows, np.flatnonzero(np.diff(rows // READ_ITEMS)) + 1)
        blocks = [self._source.read(sample, int(part[0]), int(part[-1]) + 1)[part - part[0]] for part in parts]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def average_samples(source: EmbeddingSource) -> EmbeddingSource:
    """Return the mean over samples of the un-normalised embeddings, as a source of one sample.

    The mean is stored in memory if it fits `MAX_ARRAY_BYTES`, and computed in every read otherwise.

    Args:
        source: samples of the same dimension.
    """
    mean = _MeanSource(source)
    if 4 * mean.n_items * mean.dims[0] > MAX_ARRAY_BYTES:
        return mean
    return ArraySource([mean.read(0, 0, mean.n_items)], mean.item_ids)


class _MeanSource:
    """The mean over samples of un-normalised embeddings, computed in every read."""

    def __init__(self, source: EmbeddingSource) -> None:
        self._source = source
        self.item_ids = source.item_ids
        self.n_items = source.n_items
        self.dims = source.dims[:1]
        self.n_samples = 1

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        total = np.zeros((stop - start, self.dims[0]))
        for s in range(self._source.n_samples):
            total += self._source.read(s, start, stop)
        return (total / self._source.n_samples).astype(np.float32)
