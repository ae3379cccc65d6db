"""A small encoder's configuration, data to embed with it, and a substitute for its network that runs out of memory."""

from collections.abc import Callable
from pathlib import Path

import torch

from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.datasets import shapes
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import read_raw_split
from overtop.storage.split import Split

SHAPES_SPEC = EncoderSpec(architecture="shapes-vit", train=TrainSpec(dataset="shapes"))

CAPTIONS = [
    "a red circle",
    "some shapes",
    "a large blue square above a small green star",
    "three shapes in all",
    "a star",
]


def generate_split(spec: ShapesDataset, split: str, data: Path) -> Split:
    """Generate a split of the data set shapes, with image paths relative to `data`."""
    raw = data / "raw" / "shapes" / split
    shapes.fetch("shapes", spec, split, raw, FetchContext(None, 0, data, {}))
    return read_raw_split("shapes", spec, raw, data, split)


class LimitedMemoryEncode:
    """An encode function that raises an error for batches above a size, and records the sizes of the others."""

    def __init__(self, encode: Callable[[torch.Tensor], torch.Tensor], capacity: int, error: Exception) -> None:
        self.encode, self.capacity, self.error = encode, capacity, error
        self.batch_sizes: list[int] = []

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        embedding = self.encode(batch)  # masks are drawn before memory runs out
        if len(batch) > self.capacity:
            raise self.error
        self.batch_sizes.append(len(batch))
        return embedding
