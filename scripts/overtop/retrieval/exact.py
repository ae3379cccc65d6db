"""The one heavy pass over queries x gallery, and what it leaves behind per query.

Similarity is the dot product of unit embeddings in each sample, averaged over the samples (float32). Blocks of captions
meet blocks of images, each small enough to stay in the processor's cache while all is taken from it that is kept; one
product serves both directions, and no M x N matrix is ever whole. Among equal similarities the smaller gallery index
comes first, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, Self

import numpy as np
import torch

from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.memory import RESIDENT_BYTES
from overtop.retrieval.matmul import Operand, Precision, Product, product_for
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.softmax_sums import SoftmaxSums
from overtop.retrieval.topk import Best, canvas
from overtop.retrieval.vectors import unit
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRECTIONS, Direction

BLOCK, DEVICE_BLOCK = 2048, 8192


def rank(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = 5,
    temperatures: Iterable[float] = (),
    device: str | None = None,
    block: int | None = None,
    resident: int = RESIDENT_BYTES,
    precision: Precision = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> dict[Direction, Ranking]:
    """Rank images for every caption (`t2i`) and captions for every image (`i2t`) in one pass.

    Memory beside the outputs: `resident` bytes of images, all samples of one block of captions, and two blocks of
    captions x images for each thread. Images are read once; captions once for every `resident` bytes of images.

    Args:
        images: N items, S samples.
        texts: M items, S samples.
        top: K, how many items of the mean similarity to keep (all, if the gallery is smaller).
        vote_top: k, how many items of each sample's similarity to keep.
        temperatures: at which to sum up the softmax over the gallery.
        device: a torch device; by default the GPU if there is one.
        block: at most so many captions meet as many images at a time; by default what suits the device.
        resident: bytes of normalised images to hold at a time.
        precision: `bfloat16` is as exact as `float32`, on other units of the processor; `auto` takes them where
            they are.
        progress: called after each block of captions with the captions done and their number.

    Raises:
        OvertopError: the sources differ in samples or dimensions, one is empty, an embedding is zero or not finite, or
            a temperature is not above 0.
    """
    _check(images, texts)
    device = device or default_device()
    product = product_for(precision, device)
    block = block or (BLOCK if device == "cpu" else DEVICE_BLOCK)
    keep = top, vote_top, _rising(temperatures), device
    t2i, i2t = _Kept(texts, images, *keep), _Kept(images, texts, *keep)
    sides = min(block, texts.n_items), min(block, images.n_items)
    slabs = _cuts(slice(0, images.n_items), resident // (4 * product.parts * sum(images.dims)))

    def operand(source: EmbeddingSource, items: slice, sample: int) -> Operand:
        return product.prepare(unit(source, sample, items, device))

    def held(source: EmbeddingSource, items: slice) -> Callable[[int], Operand]:
        return [operand(source, items, s) for s in range(source.n_samples)].__getitem__

    with product.ready(), _Meeting(product, images.n_samples, *sides, device) as meet:
        for number, slab in enumerate(slabs):
            gallery = [_Block(part, held(images, part), i2t) for part in _cuts(slab, block)]
            for part in _cuts(slice(0, texts.n_items), block):
                # What is needed once is made where it is needed, and its memory used again at once.
                captions = _Block(part, held(texts, part) if len(gallery) > 1 else partial(operand, texts, part), t2i)
                for photographs in gallery:
                    meet(captions, photographs)
                if progress is not None:
                    progress((number * texts.n_items + part.stop) // len(slabs), texts.n_items)
    return {"t2i": t2i.ranking(), "i2t": i2t.ranking()}


class _Kept:
    """What is kept of the queries of one direction while blocks of their gallery pass."""

    def __init__(
        self,
        queries: EmbeddingSource,
        gallery: EmbeddingSource,
        top: int,
        vote_top: int,
        temperatures: tuple[float, ...],
        device: str,
    ) -> None:
        self._ids = queries.item_ids, gallery.item_ids
        self._top, self._vote_top = (min(k, gallery.n_items) for k in (top, vote_top))
        self._temperatures = temperatures
        one = queries.n_samples == 1  # then the mean is the sample
        self._mean = Best(queries.n_items, max(self._top, self._vote_top) if one else self._top, device)
        self._samples = [] if one else [Best(queries.n_items, self._vote_top, device) for _ in queries.dims]
        self._softmax = SoftmaxSums(queries.n_items, temperatures, device)

    def see_sample(self, sample: int, block: torch.Tensor, queries: slice, items: slice) -> None:
        """Take in one sample's similarities; queries are the rows of the block."""
        self._samples[sample].update(block, queries, items.start)

    def see_mean(self, block: torch.Tensor, queries: slice, items: slice) -> None:
        """Take in the mean similarities."""
        self._mean.update(block, queries, items.start)
        inside = block[: queries.stop - queries.start, : items.stop - items.start]
        self._softmax.update(inside, queries, items.start, self._mean)

    def ranking(self) -> Ranking:
        """All that was kept."""
        scores, ids = self._mean.lists()
        votes = [best.lists()[1] for best in self._samples] or [ids[:, : self._vote_top]]
        lists = ids[:, : self._top], scores[:, : self._top], np.stack(votes, axis=1)
        return Ranking(*self._ids, *lists, self._temperatures, *self._softmax.results())


class _Block(NamedTuple):
    """Some items: which, how to have their operand in a sample, and what is kept of them as queries."""

    items: slice
    operand: Callable[[int], Operand]
    kept: _Kept


class _Meeting:
    """Lets captions meet images: every sample in a thread of its own, with memory that is used again and again.

    Samples are independent of each other, and so are the directions. One thread a sample needs no waiting within a
    product, and the small steps between products keep all cores busy, too.
    """

    def __init__(self, product: Product, samples: int, height: int, width: int, device: str) -> None:
        self._product, self._samples = product, samples
        self._cores = torch.get_num_threads()
        workers = min(self._cores, max(samples, len(DIRECTIONS))) if device == "cpu" else 1
        self._pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(self._cores // workers,))
        shares = min(workers, samples)
        self._shares = [range(share, samples, shares) for share in range(shares)]
        self._similarities = [canvas(height, width, device) for _ in self._shares]
        self._totals = [canvas(height, width, device) for _ in self._shares] if samples > 1 else self._similarities

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._cores)  # the workers' number became that of all threads to come

    def __call__(self, captions: _Block, images: _Block) -> None:
        """Compare captions with images, sample by sample, and let both directions take in what they keep."""
        if self._samples == 1:
            self._multiply(captions, images, 0, self._similarities[0])
        else:
            list(self._pool.map(partial(self._add_up, captions, images), range(len(self._shares))))
        total, *others = self._totals
        for other in others:
            total += other
        mean = total.div_(self._samples)
        across = self._pool.submit(captions.kept.see_mean, mean, captions.items, images.items)
        down = self._pool.submit(images.kept.see_mean, mean.T, images.items, captions.items)
        across.result()
        down.result()

    def _add_up(self, captions: _Block, images: _Block, share: int) -> None:
        """Take in the samples of one share and add their similarities up."""
        similarity, total = self._similarities[share], self._totals[share]
        for s in self._shares[share]:
            self._multiply(captions, images, s, similarity)
            captions.kept.see_sample(s, similarity, captions.items, images.items)
            images.kept.see_sample(s, similarity.T, images.items, captions.items)
            if s == self._shares[share].start:
                total.copy_(similarity)
            else:
                total += similarity

    def _multiply(self, captions: _Block, images: _Block, sample: int, similarity: torch.Tensor) -> None:
        """Write one sample's similarities, and -inf beyond them."""
        height, width = (block.items.stop - block.items.start for block in (captions, images))
        similarity[height:] = -float("inf")
        similarity[:, width:] = -float("inf")
        self._product.multiply(captions.operand(sample), images.operand(sample), out=similarity[:height, :width])


def _cuts(items: slice, size: int) -> list[slice]:
    """`items` in even parts of at most `size`, at least one each."""
    count = items.stop - items.start
    parts = -(-count // max(1, size))
    return [slice(items.start + i * count // parts, items.start + (i + 1) * count // parts) for i in range(parts)]


def _rising(temperatures: Iterable[float]) -> tuple[float, ...]:
    """Distinct and rising; all above 0."""
    rising = tuple(sorted({float(temperature) for temperature in temperatures}))
    if not all(0 < temperature < float("inf") for temperature in rising):
        raise OvertopError(f"temperatures {rising} are not all above 0 and finite; correct them")
    return rising


def _check(images: EmbeddingSource, texts: EmbeddingSource) -> None:
    if images.dims != texts.dims:
        raise OvertopError(
            f"images have samples of dimensions {images.dims}, texts {texts.dims}; "
            "both must come from the same encoders and the same number of passes"
        )
    if not images.n_items or not texts.n_items:
        empty = "images" if not images.n_items else "texts"
        raise OvertopError(f"there are no {empty} to rank; look at the data set's split")
