"""The exact ranking pass: every query with every gallery item, in both directions at once.

Blocks of captions are multiplied with blocks of images, each small enough to stay in the cache of the processor until
everything that a ranking needs is extracted. One product serves both directions, and the whole M x N matrix is
never in memory. Tests compare the rankings with a sort of the whole matrix in float64.
"""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.memory import CPU_BLOCK_ITEMS, GPU_BLOCK_ITEMS, RESIDENT_BYTES
from overtop.progress import Progress, no_progress
from overtop.retrieval.accumulator import QueryAccumulator, RankingContents
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.matmul import Matmul, Precision, select_matmul
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.similarity_blocks import BlockMultiplier, BlockReader, RowMultiplier
from overtop.retrieval.sources import check_sources
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRECTIONS, VOTE_TOP, Direction


def rank(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = VOTE_TOP,
    temperatures: Iterable[float] = (),
    *,
    groups: Mapping[Direction, np.ndarray] | None = None,
    normalisations: Mapping[Direction, Normalisation] | None = None,
    directions: Collection[Direction] = DIRECTIONS,
    device: str | None = None,
    block: int | None = None,
    resident: int = RESIDENT_BYTES,
    precision: Precision = "auto",
    progress: Progress = no_progress,
) -> dict[Direction, Ranking]:
    """Rank images for every caption (`t2i`) and captions for every image (`i2t`) in one pass.

    Items with identical embeddings in all samples are ranked once, and so are identical queries: equal items have equal
    results, whatever the blocks, threads and precision.

    Memory in addition to the outputs: `resident` bytes of images, all samples of one block of captions, and two blocks
    of captions x images per thread. Images are read once; captions once per `resident` bytes of images.

    Args:
        images: N items, S samples.
        texts: M items, S samples.
        top: K, number of best items by mean similarity (at most the size of the gallery).
        vote_top: k, number of best items in each sample.
        temperatures: temperatures of the softmax over the gallery.
        groups: by direction, the declared group (N,) of each gallery item; items of a group must follow each other.
            By default only duplicates belong together.
        normalisations: by direction, offsets of the gallery items, for the results in `Ranking.normalised`.
        directions: the directions to rank.
        device: torch device; by default the GPU if there is one.
        block: most captions, and most images, in a block; by default chosen for the device.
        resident: bytes of normalised images to hold in memory at a time.
        precision: `bfloat16` is as exact as `float32` but uses other units of the processor; `auto` uses them where
            the processor has them.
        progress: called after each block of captions with the captions done and their total.

    Raises:
        OvertopError: the sources differ in samples or dimensions, one is empty, an embedding is zero or not finite, or
            a temperature is not positive.

    Example:
        >>> import numpy as np
        >>> from overtop.storage.shards import ArraySource
        >>> images, texts = ArraySource([np.eye(3)]), ArraySource([np.array([[0.1, 0.9, 0.2], [0.8, 0.3, 0.1]])])
        >>> rank(images, texts, top=2)["t2i"].top_ids.tolist()
        [[1, 2], [0, 1]]
    """
    check_sources(images, texts)
    groups = groups or {}
    return rank_items(
        GroupedItems(DistinctItems.find(images), groups.get("t2i")),
        GroupedItems(DistinctItems.find(texts), groups.get("i2t")),
        RankingContents(top, vote_top, sort_temperatures(temperatures)),
        normalisations=normalisations or {},
        directions=directions,
        device=device,
        block=block,
        resident=resident,
        precision=precision,
        progress=progress,
    )


def rank_items(
    images: GroupedItems,
    texts: GroupedItems,
    contents: RankingContents,
    *,
    normalisations: Mapping[Direction, Normalisation],
    directions: Collection[Direction],
    device: str | None = None,
    block: int | None = None,
    resident: int = RESIDENT_BYTES,
    precision: Precision = "auto",
    progress: Progress = no_progress,
) -> dict[Direction, Ranking]:
    """Rank items that have been prepared: their duplicates and groups are known, and unit vectors are used as they are.

    Args:
        images: the images, of the same dimensions as the texts.
        texts: the captions.
        contents: what the rankings are to contain.
        normalisations: as in `rank`, like all other arguments.

    Raises:
        OvertopError: an embedding is zero or not finite.
    """
    device = device or default_device()
    matmul = select_matmul(precision, device)
    accumulators = {}
    for direction in directions:
        queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
        normalisation = normalisations.get(direction)
        accumulators[direction] = QueryAccumulator(queries.items, gallery, contents, normalisation, device)
    caption_reader = BlockReader(texts, accumulators.get("t2i"), matmul, device)
    image_reader = BlockReader(images, accumulators.get("i2t"), matmul, device)
    text_parts = texts.cut(texts.all, block or _block_items(device))
    width = block or _block_width(device, _longest(text_parts), directions)
    resident_parts = images.cut(images.all, resident // (4 * matmul.operand_parts * sum(images.items.source.dims)))
    image_parts = [images.cut(part, width) for part in resident_parts]
    sides = _longest(text_parts), max(map(_longest, image_parts))
    with matmul.torch_settings(), _make_multiplier(matmul, texts, directions, sides, device) as multiplier:
        for number, parts in enumerate(image_parts):
            image_blocks = [image_reader.read(items) for items in parts]
            read_captions = caption_reader.read if len(image_blocks) > 1 else caption_reader.read_lazily
            for items in text_parts:
                caption_block = read_captions(items)
                for image_block in image_blocks:
                    multiplier.add_similarities(caption_block, image_block)
                total = text_parts[-1].stop
                progress((number * total + items.stop) // len(image_parts), total)
    return {direction: accumulator.ranking() for direction, accumulator in accumulators.items()}


def _block_items(device: str) -> int:
    """Return the largest side of a block of similarities."""
    return CPU_BLOCK_ITEMS if device == "cpu" else GPU_BLOCK_ITEMS


def _block_width(device: str, captions: int, directions: Collection[Direction]) -> int:
    """Return the most images in a block: the more, the fewer captions it has, if only images are ranked."""
    items = _block_items(device)
    return items * items // min(captions, items) if set(directions) == {"t2i"} else items


def _make_multiplier(
    matmul: Matmul, texts: GroupedItems, directions: Collection[Direction], sides: tuple[int, int], device: str
) -> BlockMultiplier | RowMultiplier:
    """Return what multiplies blocks of at most `sides` captions and images."""
    samples = texts.items.source.n_samples
    if samples == 1 and set(directions) == {"t2i"}:
        return RowMultiplier(matmul, *sides, device)
    return BlockMultiplier(matmul, samples, *sides, device)


def _longest(parts: list[slice]) -> int:
    """Return the number of items of the longest slice."""
    return max(part.stop - part.start for part in parts)


def sort_temperatures(temperatures: Iterable[float]) -> tuple[float, ...]:
    """Return the distinct temperatures in ascending order.

    Raises:
        OvertopError: a temperature is not positive and finite.
    """
    ascending = tuple(sorted({float(temperature) for temperature in temperatures}))
    if not all(0 < temperature < float("inf") for temperature in ascending):
        raise OvertopError(f"temperatures {ascending} are not all above 0 and finite; correct them")
    return ascending
