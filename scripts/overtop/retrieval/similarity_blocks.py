"""Blocks of items, and the similarities between a block of captions and a block of images."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, Self

import torch

from overtop.memory import blocks
from overtop.retrieval.accumulator import QueryAccumulator
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.matmul import Matmul, Operand
from overtop.retrieval.topk import padded_block, padded_side
from overtop.retrieval.vectors import read_unit_vectors
from overtop.terms import DIRECTIONS

MIN_THREAD_ROWS = 32
"""Fewest queries for which a thread of their own is worth it."""

SHARES = 8
"""Most groups of samples whose similarities are added up by themselves: their number sets the order of the sum."""


class Block(NamedTuple):
    """Consecutive items of one modality.

    Attributes:
        items: which items.
        operand: returns the operand of the items in a sample.
        accumulator: of the rankings in which the items are queries; None if that direction is not ranked.
    """

    items: slice
    operand: Callable[[int], Operand]
    accumulator: QueryAccumulator | None

    @property
    def size(self) -> int:
        """Number of items."""
        return self.items.stop - self.items.start


class BlockReader:
    """Reads blocks of one modality.

    Args:
        items: the distinct items.
        accumulator: of the rankings in which the items are queries; None if that direction is not ranked.
        matmul: the method of multiplying, which defines the operands.
        device: torch device of the operands.
    """

    def __init__(self, items: GroupedItems, accumulator: QueryAccumulator | None, matmul: Matmul, device: str) -> None:
        self._source, self._accumulator, self._matmul, self._device = items.items.source, accumulator, matmul, device

    def read(self, items: slice) -> Block:
        """Return a block with the operands of all samples in memory."""
        operands = [self._read_operand(items, sample) for sample in range(self._source.n_samples)]
        return Block(items, operands.__getitem__, self._accumulator)

    def read_lazily(self, items: slice) -> Block:
        """Return a block that reads the operand of a sample whenever it is used, so that its memory is reused."""
        return Block(items, partial(self._read_operand, items), self._accumulator)

    def _read_operand(self, items: slice, sample: int) -> Operand:
        return self._matmul.prepare(read_unit_vectors(self._source, sample, items, self._device))


class _Threads:
    """Threads that share the cores of the CPU; one thread for another device.

    Args:
        tasks: most tasks that are carried out at the same time.
        device: torch device of the tasks.

    Attributes:
        workers: number of threads.
    """

    def __init__(self, tasks: int, device: str) -> None:
        self._cores = torch.get_num_threads()
        self.workers = min(self._cores, tasks) if device == "cpu" else 1
        cores_each = self._cores // self.workers
        self._pool = ThreadPoolExecutor(self.workers, initializer=torch.set_num_threads, initargs=(cores_each,))

    def run(self, task: Callable[..., None], *arguments: Iterable[Any]) -> None:
        """Call a function with the first of each of the arguments, the second, ..., and wait for the results."""
        list(self._pool.map(task, *arguments))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._cores)  # the number set in a worker applies to all threads started later


class RowMultiplier:
    """Multiplies blocks of captions of one sample with blocks of images, where only images are ranked.

    The rankings of captions are independent of each other, so each thread multiplies some captions and adds their
    similarities while these are in its cache. Buffers are reused.

    Args:
        matmul: the method of multiplying.
        height: most captions in a block.
        width: most images in a block.
        device: torch device of the operands.
    """

    def __init__(self, matmul: Matmul, height: int, width: int, device: str) -> None:
        self._matmul = matmul
        self._threads = _Threads(max(1, height // MIN_THREAD_ROWS), device)
        rows = -(-height // self._threads.workers)
        shape = rows, padded_side(width)
        self._similarities = [torch.full(shape, -torch.inf, device=device) for _ in range(self._threads.workers)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._threads.close()

    def add_similarities(self, captions: Block, images: Block) -> None:
        """Compute the similarities of two blocks and add them to the rankings of captions."""
        operand = captions.operand(0)
        rows = blocks(captions.size, 1, -(-captions.size // self._threads.workers))
        self._threads.run(partial(self._add_rows, captions, images, operand), rows, self._similarities)

    def _add_rows(self, captions: Block, images: Block, operand: Operand, rows: slice, out: torch.Tensor) -> None:
        """Add the similarities of some captions to their rankings."""
        assert captions.accumulator is not None, "captions are queries"
        out = out[: rows.stop - rows.start]
        out[:, images.size :] = -torch.inf
        left = tuple(part[rows] for part in operand)
        self._matmul.multiply(left, images.operand(0), out=out[:, : images.size])
        queries = slice(captions.items.start + rows.start, captions.items.start + rows.stop)
        captions.accumulator.add_mean(out, queries, images.items)


class BlockMultiplier:
    """Multiplies blocks of captions with blocks of images and adds the similarities to the rankings of both.

    Samples are independent of each other, and so are directions, so each sample is computed in one thread: no thread
    waits within a product, and the small steps between products use all cores, too. Samples are added up in shares that
    do not depend on the number of threads, and so neither does the sum. Buffers are reused.

    Args:
        matmul: the method of multiplying.
        samples: number of samples.
        height: most captions in a block.
        width: most images in a block.
        device: torch device of the operands.
    """

    def __init__(self, matmul: Matmul, samples: int, height: int, width: int, device: str) -> None:
        self._matmul, self._samples = matmul, samples
        shares = min(SHARES, samples) if device == "cpu" else 1
        self._samples_of_share = [range(share, samples, shares) for share in range(shares)]
        self._threads = _Threads(max(shares, len(DIRECTIONS)), device)
        self._sums = [padded_block(height, width, device) for _ in range(shares)]
        buffers = self._threads.workers if samples > shares else 0  # the first sample of a share is written to its sum
        self._similarities = [padded_block(height, width, device) for _ in range(buffers)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._threads.close()

    def add_similarities(self, captions: Block, images: Block) -> None:
        """Compute the similarities of two blocks and add them to the rankings of captions and of images."""
        if self._samples == 1:
            self._multiply(captions, images, 0, self._sums[0])
        else:
            self._threads.run(partial(self._add_shares, captions, images), range(self._threads.workers))
        mean = self._mean()
        sides = (captions, mean, images), (images, mean.T, captions)
        self._threads.run(_add_mean, [side for side in sides if side[0].accumulator is not None])

    def _add_shares(self, captions: Block, images: Block, worker: int) -> None:
        """Add the samples of the shares of one thread to the rankings, and compute the sums of their similarities."""
        for share in range(worker, len(self._sums), self._threads.workers):
            total = self._sums[share]
            for position, sample in enumerate(self._samples_of_share[share]):
                block = total if position == 0 else self._similarities[worker]
                self._multiply(captions, images, sample, block)
                if captions.accumulator is not None:
                    captions.accumulator.add_sample(sample, block, captions.items, images.items)
                if images.accumulator is not None:
                    images.accumulator.add_sample(sample, block.T, images.items, captions.items)
                if position > 0:
                    total += block

    def _mean(self) -> torch.Tensor:
        """Return the mean similarities of a block, from the sums of the shares."""
        total, *others = self._sums
        for other in others:
            total += other
        return total if self._samples == 1 else total.div_(self._samples)

    def _multiply(self, captions: Block, images: Block, sample: int, out: torch.Tensor) -> None:
        """Write the similarities in one sample to the corner of `out`, and -inf to the rest."""
        out[captions.size :] = -torch.inf
        out[:, images.size :] = -torch.inf
        corner = out[: captions.size, : images.size]
        self._matmul.multiply(captions.operand(sample), images.operand(sample), out=corner)


def _add_mean(side: tuple[Block, torch.Tensor, Block]) -> None:
    """Add mean similarities of queries with gallery items to the rankings of the queries."""
    queries, similarities, gallery = side
    assert queries.accumulator is not None, "the items are queries"
    queries.accumulator.add_mean(similarities, queries.items, gallery.items)
