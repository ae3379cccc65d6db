"""The ranking pass over prepared items: its chunks and blocks, and what is accumulated in each chunk.

Blocks of captions are multiplied with blocks of images, each small enough to stay in the cache of the processor until
everything that a ranking needs is extracted. One product serves both directions, and the whole M x N matrix is
never in memory.

Images are taken in chunks. The rankings are accumulated within each chunk and then merged in the order of the chunks,
whether one process goes through all of them or several processes through a slice of them each: the blocks and the order
of all sums are the same, and so is every bit of the result.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TypedDict

from overtop.device import default_device
from overtop.memory import CHUNK_IMAGES, CPU_BLOCK_ITEMS, GPU_BLOCK_ITEMS, RESIDENT_BYTES
from overtop.progress import Progress, no_progress
from overtop.retrieval.accumulator import QueryAccumulator, RankingContents
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.matmul import Precision, select_matmul
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.similarity_blocks import BlockMultiplier, BlockReader, RowMultiplier
from overtop.terms import DIRECTIONS, Direction

Accumulators = Mapping[Direction, QueryAccumulator]


class PassOptions(TypedDict, total=False):
    """How a pass computes; none of it changes what a ranking is, but all of it may change its rounding.

    Attributes:
        device: torch device; by default the GPU if there is one.
        block: most captions, and most images, in a block; by default chosen for the device.
        chunk: most images whose rankings are accumulated by themselves; one group may have more.
        resident: bytes of normalised images to hold in memory at a time.
        precision: `bfloat16` is as exact as `float32` but uses other units of the processor; `auto` uses them where
            the processor has them.
    """

    device: str | None
    block: int | None
    chunk: int
    resident: int
    precision: Precision


class RankingPass:
    """A pass over all similarities of images and captions; nothing is read before it starts.

    Args:
        images: the images, of the same dimensions as the texts.
        texts: the captions.
        contents: what the rankings are to contain.
        normalisations: by direction, offsets of the gallery items.
        directions: the directions to rank.
        device: like all other arguments, see `PassOptions`.

    Attributes:
        contents: as given.
        chunks: consecutive images that cover all.
    """

    def __init__(
        self,
        images: GroupedItems,
        texts: GroupedItems,
        contents: RankingContents,
        *,
        normalisations: Mapping[Direction, Normalisation],
        directions: Collection[Direction] = DIRECTIONS,
        device: str | None = None,
        block: int | None = None,
        chunk: int = CHUNK_IMAGES,
        resident: int = RESIDENT_BYTES,
        precision: Precision = "auto",
    ) -> None:
        self._images, self._texts, self.contents = images, texts, contents
        self._normalisations, self._directions = normalisations, directions
        self._device = device or default_device()
        self._matmul = select_matmul(precision, self._device)
        self._text_parts = texts.cut(texts.all, block or _block_items(self._device))
        width = block or _block_width(self._device, _longest(self._text_parts), directions)
        resident_images = resident // (4 * self._matmul.operand_parts * sum(images.items.source.dims))
        self.chunks = images.cut(images.all, chunk)
        self._blocks = [
            [images.cut(part, width) for part in images.cut(items, resident_images)] for items in self.chunks
        ]
        """By chunk and part that is held in memory at a time."""

    def rank(self, progress: Progress = no_progress) -> dict[Direction, Ranking]:
        """Go through all chunks and return the rankings; `progress` as in `accumulate`.

        Raises:
            OvertopError: an embedding is zero or not finite.
        """
        total = self.accumulators()
        self.accumulate(range(len(self.chunks)), lambda _, of_chunk: _merge(total, of_chunk), progress)
        return rankings(total)

    def merge(self, parts: Iterable[Accumulators]) -> dict[Direction, Ranking]:
        """Return the rankings from the accumulators of all chunks in their order."""
        total = self.accumulators()
        for part in parts:
            _merge(total, part)
        return rankings(total)

    def accumulate(
        self, chunks: range, take: Callable[[int, Accumulators], None], progress: Progress = no_progress
    ) -> None:
        """Go through some chunks.

        Args:
            chunks: numbers of the chunks.
            take: called with the number of each chunk and what was accumulated in it.
            progress: called after each block of captions with the captions done and their total, as if there were one
                part of images.
        """
        done, parts = 0, sum(len(self._blocks[number]) for number in chunks)
        total = self._text_parts[-1].stop
        with self._multiplier() as multiplier:
            for number in chunks:
                report = partial(_report_part, progress, done, parts, total)
                take(number, self._accumulate_chunk(number, multiplier, report))
                done += len(self._blocks[number])

    def accumulators(self, number: int | None = None) -> Accumulators:
        """Return empty accumulators: for all chunks or for one, whose images alone are then the queries of `i2t`."""
        by_direction = {}
        for direction in self._directions:
            sides = (self._texts, self._images) if direction == "t2i" else (self._images, self._texts)
            part = self.chunks[number] if direction == "i2t" and number is not None else None
            by_direction[direction] = QueryAccumulator(
                sides[0].items, sides[1], self.contents, self._normalisations.get(direction), self._device, part
            )
        return by_direction

    def _accumulate_chunk(
        self, number: int, multiplier: BlockMultiplier | RowMultiplier, report: Callable[[int, int], None]
    ) -> Accumulators:
        """Return what is accumulated in a chunk; `report` is called with the parts and the captions that are done."""
        accumulators = self.accumulators(number)
        caption_reader = BlockReader(self._texts, accumulators.get("t2i"), self._matmul, self._device)
        image_reader = BlockReader(self._images, accumulators.get("i2t"), self._matmul, self._device)
        for part, image_parts in enumerate(self._blocks[number]):
            image_blocks = [image_reader.read(items) for items in image_parts]
            read_captions = caption_reader.read if len(image_blocks) > 1 else caption_reader.read_lazily
            for items in self._text_parts:
                caption_block = read_captions(items)
                for image_block in image_blocks:
                    multiplier.add_similarities(caption_block, image_block)
                report(part, items.stop)
        return accumulators

    def _multiplier(self) -> BlockMultiplier | RowMultiplier:
        """Return what multiplies the blocks; its buffers are those of the whole pass, whichever chunks are taken."""
        samples = self._texts.items.source.n_samples
        widest = max(_longest(blocks) for parts in self._blocks for blocks in parts)
        sides = _longest(self._text_parts), widest
        if samples == 1 and set(self._directions) == {"t2i"}:
            return RowMultiplier(self._matmul, *sides, self._device)
        return BlockMultiplier(self._matmul, samples, *sides, self._device)


def rankings(accumulators: Accumulators) -> dict[Direction, Ranking]:
    """Return the rankings that were accumulated."""
    return {direction: accumulator.ranking() for direction, accumulator in accumulators.items()}


def _report_part(progress: Progress, done: int, parts: int, total: int, part: int, captions: int) -> None:
    """Report the captions done in one of several parts of the images, after `done` parts of other chunks."""
    progress(((done + part) * total + captions) // parts, total)


def _merge(total: Accumulators, part: Accumulators) -> None:
    """Add the accumulators of one chunk to those of all chunks."""
    for direction, accumulator in total.items():
        accumulator.merge(part[direction])


def _block_items(device: str) -> int:
    """Return the largest side of a block of similarities."""
    return CPU_BLOCK_ITEMS if device == "cpu" else GPU_BLOCK_ITEMS


def _block_width(device: str, captions: int, directions: Collection[Direction]) -> int:
    """Return the most images in a block: the more, the fewer captions it has, if only images are ranked."""
    items = _block_items(device)
    return items * items // min(captions, items) if set(directions) == {"t2i"} else items


def _longest(parts: list[slice]) -> int:
    """Return the number of items of the longest slice."""
    return max(part.stop - part.start for part in parts)
