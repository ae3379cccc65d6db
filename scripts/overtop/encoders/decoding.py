"""Image files decoded and preprocessed in batches, ahead of the network that uses them."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from overtop.encoders.image_files import decode_image
from overtop.encoders.loading import Encoder
from overtop.errors import OvertopError
from overtop.terms import OnError

_PREFETCHED_BATCHES = 2
_CORES_PER_READER = 8
"""Decoding a photograph costs a CPU about a tenth of the time of a ViT-B/32 forward pass."""
_LOG = logging.getLogger(__name__)


def read_image(path: str | Path, preprocess: Callable[[Image.Image], torch.Tensor]) -> torch.Tensor:
    """Decode and preprocess one image file.

    Args:
        path: the file.
        preprocess: transform of an encoder, to a tensor (3, H, W).

    Raises:
        OvertopError: as `decode_image`; the message names the file.
    """
    return preprocess(decode_image(path))


def decode_batches(
    encoder: Encoder, batches: Sequence[Sequence[str | Path]], on_error: OnError, readers: int | None = None
) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """Decode batches of image files; while one batch is used, the following ones are decoded in threads.

    Args:
        encoder: gives the preprocessing and the device.
        batches: image files of each batch.
        on_error: what happens when an image cannot be read.
        readers: threads that decode beside a GPU; None for one per core.

    Yields:
        The readable images of each batch, float32 (n, 3, H, W), and which of its files were readable, bool.

    Raises:
        OvertopError: an image cannot be read, and `on_error` is `fail`.
    """
    with ThreadPoolExecutor(_reader_count(encoder.device, readers)) as pool, ThreadPoolExecutor(1) as batcher:

        def submit(batch: Sequence[str | Path]) -> Future[tuple[torch.Tensor, np.ndarray]]:
            return batcher.submit(_decode_batch, encoder, batch, on_error, pool)

        pending = deque(submit(batch) for batch in batches[:_PREFETCHED_BATCHES])
        for number in range(len(batches)):
            decoded = pending.popleft().result()
            if number + _PREFETCHED_BATCHES < len(batches):
                pending.append(submit(batches[number + _PREFETCHED_BATCHES]))
            yield decoded


def _reader_count(device: torch.device, readers: int | None) -> int:
    """Number of images decoded at the same time; a network on the CPU needs most of the cores itself."""
    if readers is not None and device.type == "cuda":
        return readers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if device.type == "cuda" else max(1, cores // _CORES_PER_READER)


def _decode_batch(
    encoder: Encoder, paths: Sequence[str | Path], on_error: OnError, readers: Executor
) -> tuple[torch.Tensor, np.ndarray]:
    pixels, readable = [], np.zeros(len(paths), dtype=bool)
    for i, image in enumerate([readers.submit(read_image, path, encoder.preprocess) for path in paths]):
        try:
            pixels.append(image.result())
            readable[i] = True
        except OvertopError as error:
            if on_error == "fail":
                raise
            _LOG.warning("skipped: %s", error)
    batch = torch.stack(pixels) if pixels else torch.empty(0)
    return batch.pin_memory() if encoder.device.type == "cuda" else batch, readable
