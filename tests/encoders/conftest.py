"""A small encoder with random weights, built once, and images and captions to embed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.datasets import shapes
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import read_raw_split
from overtop.datasets.shapes import write_images
from overtop.encoders.loading import Encoder, build_model, load_encoder
from overtop.storage.split import Split
from overtop.training.checkpoint import save_checkpoint

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


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "tiny.safetensors"
    save_checkpoint(build_model("tiny", SHAPES_SPEC, None), path)
    return path


@pytest.fixture
def encoder(checkpoint: Path) -> Encoder:
    return load_encoder("tiny", SHAPES_SPEC, checkpoint)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight images; the last has another size and mode."""
    folder = tmp_path_factory.mktemp("images")
    paths = write_images(folder, "test", 7, 48, 0)
    Image.new("L", (90, 60), 120).save(folder / "grey.jpg")
    return [*paths, folder / "grey.jpg"]


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
