from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.encoder_inputs import SHAPES_SPEC, generate_split
from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.datasets.scene_captions import LEVELS
from overtop.device import reproducible
from overtop.encoders.compat import open_clip
from overtop.encoders.loading import build_model
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.files import sha256
from overtop.storage.split import Split
from overtop.training.contrastive import train_encoder


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Split, Split, Path]:
    """Train and validation splits of the data set shapes, and their data folder."""
    data = tmp_path_factory.mktemp("data")
    spec = ShapesDataset(kind="shapes", images={"train": 40, "val": 10})
    return generate_split(spec, "train", data), generate_split(spec, "val", data), data


def _make_spec(**train: object) -> EncoderSpec:
    train_spec = TrainSpec.model_validate({"dataset": "shapes", "epochs": 2, "batch_size": 16, **train})
    return EncoderSpec(architecture="shapes-vit", train=train_spec)


def test_training_with_the_same_seed_gives_the_same_checkpoint(
    splits: tuple[Split, Split, Path], tmp_path: Path
) -> None:
    train, val, data = splits
    a, b, c = (tmp_path / f"{name}.safetensors" for name in "abc")
    recalls = train_encoder("a", _make_spec(), [train], [val], a, seed=0, data=data)
    torch.manual_seed(99)
    random_state = torch.get_rng_state()
    train_encoder("a", _make_spec(), [train], [val], b, seed=0, data=data)
    assert torch.equal(random_state, torch.get_rng_state())
    assert sha256(a) == sha256(b)
    train_encoder("a", _make_spec(seed=1), [train], [val], c, seed=0, data=data)
    assert sha256(a) != sha256(c)
    assert set(recalls) == {"t2i", "i2t", *(f"t2i {level}" for level in LEVELS)}
    assert open_clip.create_model("shapes-vit", pretrained=str(a)) is not None


def test_progress_counts_all_steps(splits: tuple[Split, Split, Path], tmp_path: Path) -> None:
    train, val, data = splits
    calls: list[tuple[int, int]] = []
    train_encoder(
        "a", _make_spec(), [train], [val], tmp_path / "a.safetensors", seed=0, data=data,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_training_memorises_a_small_split(splits: tuple[Split, Split, Path], tmp_path: Path) -> None:
    """Forty images are memorised, so the gradients of both towers have the right sign."""
    train, _, data = splits
    spec = _make_spec(epochs=40, caption_weights={"exact": 1})
    recalls = train_encoder("a", spec, [train], [train], tmp_path / "a.safetensors", seed=0, data=data)
    assert recalls["t2i exact"] > 0.5


def test_training_on_classes_memorises_a_small_split(splits: tuple[Split, Split, Path], tmp_path: Path) -> None:
    """The classes are drawn at random, so that only a memory of the images can name them."""
    train, _, data = splits
    of_image = np.random.default_rng(0).integers(3, size=40)
    classes = Split(
        train.image_ids, train.image_paths, [*"012"], ["cat", "dog", "cow"], np.full(3, -1),
        labels=[np.flatnonzero(of_image == number) for number in range(3)], templates=["a {c}", "the {c}"],
    )  # fmt: skip
    output = tmp_path / "a.safetensors"
    recalls = train_encoder("a", _make_spec(epochs=40), [classes], [classes], output, seed=0, data=data)
    assert set(recalls) == {"accuracy"}
    assert recalls["accuracy"] > 0.8


def test_invalid_training_options_write_no_checkpoint(splits: tuple[Split, Split, Path], tmp_path: Path) -> None:
    train, val, data = splits
    output = tmp_path / "a.safetensors"
    with pytest.raises(OvertopError, match=r"encoders\.a\.train\.batch_size is 41, .* only 40 images"):
        train_encoder("a", _make_spec(batch_size=41), [train], [val], output, seed=0, data=data)
    spec = EncoderSpec(architecture="shapes-vit", checkpoint="x")
    with pytest.raises(OvertopError, match="has no `train`"):
        train_encoder("a", spec, [train], [val], output, seed=0, data=data)
    assert not output.exists()


def test_only_token_embeddings_that_occur_are_trained(splits: tuple[Split, Split, Path], tmp_path: Path) -> None:
    train, val, data = splits
    output = tmp_path / "a.safetensors"
    train_encoder("a", _make_spec(), [train], [val], output, seed=0, data=data)
    with reproducible(1, derive_seed(0, "weights", 0)):
        initial = build_model("a", SHAPES_SPEC, None).token_embedding.weight
    trained = open_clip.create_model("shapes-vit", pretrained=str(output)).token_embedding.weight
    changed_tokens = (trained != initial).any(dim=1).nonzero().flatten().tolist()
    assert set(changed_tokens) <= set(open_clip.get_tokenizer("shapes-vit")(train.captions).flatten().tolist())
    assert len(changed_tokens) > 20
