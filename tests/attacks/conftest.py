"""A small encoder with random weights, and a data set of shapes to attack."""

from pathlib import Path

import pytest
import torch

from helpers.encoder_inputs import SHAPES_SPEC, generate_split
from overtop.config.datasets import ShapesDataset
from overtop.encoders.embedding import ShardKey, embed_shard
from overtop.encoders.loading import Encoder, build_model, load_encoder
from overtop.encoders.sampling import Sampling
from overtop.storage.shards import write_shard
from overtop.storage.split import Split, split_from_labels
from overtop.training.checkpoint import save_checkpoint

N_IMAGES = 14


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "tiny.safetensors"
    save_checkpoint(build_model("tiny", SHAPES_SPEC, None), path)
    return path


@pytest.fixture(scope="session")
def encoder(checkpoint: Path) -> Encoder:
    return load_encoder("tiny", SHAPES_SPEC, checkpoint)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder, with the images of the splits."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def captions(data: Path) -> Split:
    """A split of a data set of captions."""
    counts = {"train": 1, "val": 1, "test": N_IMAGES}
    return generate_split(ShapesDataset(kind="shapes", images=counts, image_size=48), "test", data)


@pytest.fixture(scope="session")
def classes(captions: Split) -> Split:
    """The same images as a data set of four classes; two images have two of them."""
    numbers = [[i % 4] if i > 1 else [0, 2] for i in range(N_IMAGES)]
    return split_from_labels(captions.image_ids, captions.image_paths, numbers, ["red", "star", "two", "a"], ["{c}"])


def text_shard(encoder: Encoder, split: Split, path: Path) -> Path:
    """Embed the captions or class names of a split, and write them as one shard."""
    batch, ids = embed_shard(encoder, split, ShardKey("text", 0, 1), Sampling(), 0, 16, data="")
    provenance = {"encoder": encoder.identity, "sampling": "deterministic", "shard": 0, "shards": 1}
    write_shard(path, batch.embedding, ids, batch.valid, provenance)
    return path


@pytest.fixture(scope="session")
def texts(
    encoder: Encoder, captions: Split, classes: Split, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The text shards of both splits, by the kind of the data set."""
    folder = tmp_path_factory.mktemp("texts")
    splits = {"captions": captions, "classes": classes}
    return {name: text_shard(encoder, split, folder / f"{name}.h5") for name, split in splits.items()}
