"""Aligned unimodal encoders, with the towers that the extra `lite` installs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.encoder_inputs import generate_split
from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder, load_encoder
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.storage.files import sha256
from overtop.storage.split import Split
from overtop.training.features import TrunkFeatures
from overtop.training.locked import compute_trunk_features, train_heads

SPEC = EncoderSpec(
    architecture="lite0-minilm",
    train=TrainSpec(dataset="shapes", towers="locked", epochs=3, batch_size=4, learning_rate=2e-3, text_dropout=0.2),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def split(data: Path) -> Split:
    return generate_split(ShapesDataset(kind="shapes", images={"test": 8}, image_size=64), "test", data)


@pytest.fixture(scope="module")
def features(split: Split, data: Path) -> TrunkFeatures:
    return compute_trunk_features("lite", SPEC, split, data=data)


@pytest.fixture(scope="module")
def checkpoint(split: Split, features: TrunkFeatures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lite") / "a.safetensors"
    train_heads("lite", SPEC, split, split, features, features, path, seed=0)
    return path


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> Encoder:
    return load_encoder("lite", SPEC, checkpoint)


def test_progress_counts_images_and_captions(split: Split, data: Path, features: TrunkFeatures) -> None:
    calls: list[tuple[int, int]] = []
    again = compute_trunk_features(
        "lite", SPEC, split, data=data, progress=lambda done, total: calls.append((done, total))
    )
    assert torch.equal(again.image, features.image)
    assert calls == [(8, 48), (48, 48)]


def test_training_with_the_same_seed_gives_the_same_checkpoint(
    split: Split, features: TrunkFeatures, checkpoint: Path, tmp_path: Path
) -> None:
    recalls = train_heads("lite", SPEC, split, split, features, features, tmp_path / "b.safetensors", seed=0)
    assert sha256(checkpoint) == sha256(tmp_path / "b.safetensors")
    assert {"t2i", "i2t"} <= set(recalls)


def test_embeddings_of_the_full_encoder_equal_its_heads_on_the_features(
    split: Split, data: Path, features: TrunkFeatures, encoder: Encoder
) -> None:
    assert encoder.model.visual.preprocess_cfg["mean"] == (0.5, 0.5, 0.5)
    assert features.image.shape == (8, 1280)
    assert features.text.shape == (40, 384)
    with torch.inference_mode():
        images, texts = encoder.model.visual.head(features.image), encoder.model.text.proj(features.text)
    paths = [data / path for path in split.image_paths]
    embedding = embed_images(encoder, paths, Sampling(), seed=0, batch_size=3).embedding[0]
    np.testing.assert_allclose(embedding, images, atol=1e-4 * images.abs().max().item())
    embedding = embed_texts(encoder, split.captions, Sampling(), seed=0, batch_size=7).embedding[0]
    np.testing.assert_allclose(embedding, texts, atol=1e-4 * texts.abs().max().item())


def test_dropout_is_enabled_in_the_image_head_and_the_text_attention(
    split: Split, data: Path, encoder: Encoder
) -> None:
    dropout = Sampling.dropout(0.2, 2)
    assert embed_images(encoder, [data / split.image_paths[0]], dropout, seed=0).dropout == "head dropout"
    assert embed_texts(encoder, split.captions[:1], dropout, seed=0).dropout == "attention dropout in 6 layers"


def test_architecture_without_installed_towers_is_rejected(split: Split, data: Path) -> None:
    spec = SPEC.model_copy(update={"architecture": "shapes-vit"})
    with pytest.raises(OvertopError, match="no installed towers to lock"):
        compute_trunk_features("lite", spec, split, data=data)
