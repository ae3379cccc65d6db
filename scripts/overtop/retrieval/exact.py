"""The exact ranking pass: every query with every gallery item, in both directions at once.

Blocks of captions are multiplied with blocks of images, each small enough to stay in the cache of the processor until
everything that a ranking needs is extracted. One product serves both directions, and the whole M x N matrix is
never in memory. Tests compare the rankings with a sort of the whole matrix in float64.
"""

from collections.abc import Iterable

from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.memory import CPU_BLOCK_ITEMS, GPU_BLOCK_ITEMS, RESIDENT_BYTES
from overtop.progress import Progress, no_progress
from overtop.retrieval.accumulator import QueryAccumulator, RankingContents
from overtop.retrieval.matmul import Precision, select_matmul
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.similarity_blocks import BlockMultiplier, BlockReader
from overtop.retrieval.sources import check_sources
from overtop.storage.shards import EmbeddingSource
from overtop.terms import VOTE_TOP, Direction


def rank(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = VOTE_TOP,
    temperatures: Iterable[float] = (),
    *,
    device: str | None = None,
    block: int | None = None,
    resident: int = RESIDENT_BYTES,
    precision: Precision = "auto",
    progress: Progress = no_progress,
) -> dict[Direction, Ranking]:
    """Rank images for every caption (`t2i`) and captions for every image (`i2t`) in one pass.

    Memory in addition to the outputs: `resident` bytes of images, all samples of one block of captions, and two blocks
    of captions x images per thread. Images are read once; captions once per `resident` bytes of images.

    Args:
        images: N items, S samples.
        texts: M items, S samples.
        top: K, number of best items by mean similarity (at most the size of the gallery).
        vote_top: k, number of best items in each sample.
        temperatures: temperatures of the softmax over the gallery.
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
    device = device or default_device()
    block = block or (CPU_BLOCK_ITEMS if device == "cpu" else GPU_BLOCK_ITEMS)
    matmul = select_matmul(precision, device)
    contents = RankingContents(top, vote_top, _sort_temperatures(temperatures))
    t2i = QueryAccumulator(texts, images, contents, device)
    i2t = QueryAccumulator(images, texts, contents, device)
    caption_reader = BlockReader(texts, t2i, matmul, device)
    image_reader = BlockReader(images, i2t, matmul, device)
    resident_parts = _split_evenly(slice(0, images.n_items), resident // (4 * matmul.operand_parts * sum(images.dims)))
    sides = min(block, texts.n_items), min(block, images.n_items)
    with matmul.torch_settings(), BlockMultiplier(matmul, images.n_samples, *sides, device) as multiplier:
        for number, resident_part in enumerate(resident_parts):
            image_blocks = [image_reader.read(items) for items in _split_evenly(resident_part, block)]
            read_captions = caption_reader.read if len(image_blocks) > 1 else caption_reader.read_lazily
            for items in _split_evenly(slice(0, texts.n_items), block):
                caption_block = read_captions(items)
                for image_block in image_blocks:
                    multiplier.add_similarities(caption_block, image_block)
                progress((number * texts.n_items + items.stop) // len(resident_parts), texts.n_items)
    return {"t2i": t2i.ranking(), "i2t": i2t.ranking()}


def _split_evenly(items: slice, size: int) -> list[slice]:
    """Split a slice into as few equally long parts of at most `size` items as possible; at least one item each."""
    count = items.stop - items.start
    parts = -(-count // max(1, size))
    return [slice(items.start + i * count // parts, items.start + (i + 1) * count // parts) for i in range(parts)]


def _sort_temperatures(temperatures: Iterable[float]) -> tuple[float, ...]:
    """Return the distinct temperatures in ascending order.

    Raises:
        OvertopError: a temperature is not positive and finite.
    """
    ascending = tuple(sorted({float(temperature) for temperature in temperatures}))
    if not all(0 < temperature < float("inf") for temperature in ascending):
        raise OvertopError(f"temperatures {ascending} are not all above 0 and finite; correct them")
    return ascending
