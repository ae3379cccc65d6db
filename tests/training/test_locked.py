"""Aligned unimodal encoders, with the towers that the extra `lite` installs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.encoder_inputs import generate_split
from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.encoders.decoding import read_image
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder, assemble_encoder, build_model, load_encoder
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
    train_heads("lite", SPEC, [split], [split], [features], [features], path, seed=0)
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
    recalls = train_heads("lite", SPEC, [split], [split], [features], [features], tmp_path / "b.safetensors", seed=0)
    assert sha256(checkpoint) == sha256(tmp_path / "b.safetensors")
    assert {"t2i", "i2t"} <= set(recalls)


def test_heads_are_trained_jointly_on_captions_and_classes(
    split: Split, data: Path, features: TrunkFeatures, tmp_path: Path
) -> None:
    classes = Split(
        split.image_ids, split.image_paths, [*"01"], ["cat", "dog"], np.full(2, -1),
        labels=[np.arange(0, 8, 2), np.arange(1, 8, 2)], templates=["a {c}", "the {c}", "a photo of a {c}"],
    )  # fmt: skip
    class_features = compute_trunk_features("lite", SPEC, classes, data=data)
    assert torch.equal(class_features.image, features.image)
    assert class_features.text.shape == (6, 384)
    train = TrainSpec(
        dataset="shapes", classes="animals", towers="locked", epochs=30, batch_size=16, learning_rate=2e-3
    )
    spec, both = SPEC.model_copy(update={"train": train}), [split, classes]
    recalls = train_heads(
        "lite", spec, both, both, [features, class_features], [features, class_features], tmp_path / "a.safetensors", 0
    )
    assert recalls["accuracy"] == 1.0
    assert recalls["t2i exact"] > 0.5


@pytest.mark.parametrize(("architecture", "size"), [("lite0-64-minilm", 64), ("lite0-128-minilm", 128)])
def test_smaller_images_are_embedded_by_the_same_towers(split: Split, data: Path, architecture: str, size: int) -> None:
    spec = SPEC.model_copy(update={"architecture": architecture})
    one = Split(split.image_ids[:1], split.image_paths[:1], ["1"], ["a star"], np.array([0]))
    features = compute_trunk_features("lite", spec, one, data=data)
    assert features.image.shape == (1, 1280)
    encoder = assemble_encoder("lite", spec, build_model("lite", spec, None), None, "cpu")
    assert read_image(data / split.image_paths[0], encoder.preprocess).shape == (3, size, size)


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
