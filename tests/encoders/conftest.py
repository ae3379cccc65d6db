"""A small encoder with random weights, built once."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.datasets import shapes
from overtop.datasets.raw import Context
from overtop.datasets.registry import read_checked
from overtop.datasets.shapes import write_images
from overtop.encoders.loading import Encoder, build_model, load_encoder
from overtop.storage.split import Split
from overtop.training.contrastive import save_model


def drawn(spec: ShapesDataset, split: str, data: Path) -> Split:
    """A split of drawn scenes, image paths relative to `data`."""
    raw = data / "raw" / "shapes" / split
    shapes.fetch("shapes", spec, split, raw, Context(None, 0, data, {}))
    return read_checked("shapes", spec, raw, data, split)


TRAINED = EncoderSpec(architecture="shapes-vit", train=TrainSpec(dataset="shapes"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "tiny.safetensors"
    save_model(build_model("tiny", TRAINED, None), path)
    return path


@pytest.fixture
def encoder(checkpoint: Path) -> Encoder:
    return load_encoder("tiny", TRAINED, checkpoint)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    paths = write_images(folder, "test", 7, 48, 0)
    Image.new("L", (90, 60), 120).save(folder / "grey.jpg")  # another size and mode
    return [*paths, folder / "grey.jpg"]
