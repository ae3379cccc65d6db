"""A small encoder with random weights, built once, and images to embed."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.datasets.shapes import write_images
from overtop.encoders.loading import Encoder, build_model, load_encoder
from overtop.training.checkpoint import save_checkpoint


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
