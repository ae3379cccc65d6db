"""The one heavy pass over queries x gallery, and what it leaves behind per query.

Similarity is the dot product of unit embeddings in each sample, averaged over the samples (float32). Blocks of captions
meet blocks of images, each small enough to stay in the processor's cache while all is taken from it that is kept; one
product serves both directions, and no M x N matrix is ever whole. Among equal similarities the smaller gallery index
comes first, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from overtop.arrays import decode, encode, read_arrays, write_arrays
from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.store import EmbeddingSource
from overtop.terms import DIRECTIONS, Direction

if TYPE_CHECKING:  # torch is imported where it is needed: reading a ranking must stay cheap
    import torch

    from overtop.products import Operand, Precision, Product

SCHEMA = "ranking/2"
BLOCK, DEVICE_BLOCK = 2048, 8192
RESIDENT = 2**29
ARRAYS = ("top_ids", "top_scores", "sample_top", "log_partition", "mean_gap")


@dataclass(frozen=True)
class Ranking:
    """What the ranking pass keeps of Q queries over a gallery of N items, S samples.

    Attributes:
        query_ids: Q names.
        gallery_ids: N names.
        top_ids: (Q, K) int32 gallery indices, best first by mean similarity.
        top_scores: (Q, K) float32, their mean similarities.
        sample_top: (Q, S, k) int32 gallery indices, the best k in each sample.
        temperatures: T temperatures, rising, at which the softmax over the gallery is summed up.
        log_partition: (Q, T) float64, log of the sum of exp((s - s_(1))/temperature) over the gallery, s the mean
            similarity and s_(1) its largest value; 0 or more.
        mean_gap: (Q, T) float64, s_(1) less the mean of s under the softmax; 0 or more.
    """

    query_ids: list[str]
    gallery_ids: list[str]
    top_ids: np.ndarray
    top_scores: np.ndarray
    sample_top: np.ndarray
    temperatures: tuple[float, ...] = ()
    log_partition: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    mean_gap: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def n_samples(self) -> int:
        """S."""
        return self.sample_top.shape[1]

    def softmax_at(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """`log_partition` and `mean_gap` at one temperature, each (Q,).

        Raises:
            OvertopError: the ranking was made without that temperature.
        """
        if temperature not in self.temperatures:
            kept = ", ".join(map(str, self.temperatures)) or "none"
            raise OvertopError(f"the ranking kept no softmax at temperature {temperature} (kept: {kept}); rank again")
        column = self.temperatures.index(temperature)
        return self.log_partition[:, column], self.mean_gap[:, column]


def rank(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = 5,
    temperatures: Iterable[float] = (),
    device: str | None = None,
    block: int | None = None,
    resident: int = RESIDENT,
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
    from overtop.products import product_for

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
        from overtop.streaming import Best, SoftmaxSums

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
        import torch

        from overtop.streaming import canvas

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
        import torch

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


def unit(
    source: EmbeddingSource, sample: int, rows: slice | np.ndarray, device: str, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Embeddings of one sample at length one, (rows, D), float32 unless `dtype` says otherwise.

    Args:
        source: where they are.
        sample: which sample.
        rows: which items: a slice with both ends, or rising indices.
        device: where they shall be.
        dtype: in which precision.

    Raises:
        OvertopError: an embedding is zero or not finite; the item is named.
    """
    import torch

    picked = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    start, stop = int(picked[0]), int(picked[-1]) + 1
    span = source.read(sample, start, stop)
    raw = torch.as_tensor(span if len(picked) == len(span) else span[picked - start], device=device, dtype=dtype)
    length = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
    broken = (~(torch.isfinite(length) & (length > 0))).flatten().nonzero().flatten()
    if broken.numel():
        name = source.item_ids[picked[int(broken[0])]]
        raise OvertopError(
            f"the embedding of item {name!r} in sample {sample} is zero or not finite ({broken.numel()} such items); "
            "remove the item or embed it again"
        )
    return raw / length


def write_ranking(path: str | Path, rankings: Mapping[Direction, Ranking], attributes: Mapping[str, Any]) -> None:
    """Write the rankings of both directions with their provenance (JSON-able) to one HDF5 file."""
    arrays = {}
    for direction, ranking in rankings.items():
        arrays[f"{direction}/query_ids"] = encode(ranking.query_ids)
        arrays[f"{direction}/gallery_ids"] = encode(ranking.gallery_ids)
        arrays[f"{direction}/temperatures"] = np.asarray(ranking.temperatures, dtype=np.float64)
        for name in ARRAYS:
            arrays[f"{direction}/{name}"] = getattr(ranking, name)
    write_arrays(path, SCHEMA, arrays, attributes)


def read_ranking(path: str | Path) -> tuple[dict[Direction, Ranking], dict[str, Any]]:
    """The rankings and attributes that `write_ranking` wrote.

    Raises:
        OvertopError: the file is missing, truncated, altered, or of another kind.
    """
    arrays, attributes = read_arrays(path, SCHEMA)
    rankings = {}
    for direction in DIRECTIONS:
        found = {name: arrays[f"{direction}/{name}"] for name in ARRAYS}
        rankings[direction] = Ranking(
            query_ids=decode(arrays[f"{direction}/query_ids"]),
            gallery_ids=decode(arrays[f"{direction}/gallery_ids"]),
            temperatures=tuple(arrays[f"{direction}/temperatures"].tolist()),
            **found,
        )
    return rankings, attributes


def _check(images: EmbeddingSource, texts: EmbeddingSource) -> None:
    if images.dims != texts.dims:
        raise OvertopError(
            f"images have samples of dimensions {images.dims}, texts {texts.dims}; "
            "both must come from the same encoders and the same number of passes"
        )
    if not images.n_items or not texts.n_items:
        empty = "images" if not images.n_items else "texts"
        raise OvertopError(f"there are no {empty} to rank; look at the data set's split")
