import math
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.conftest import TRAINED, drawn
from overtop.config.datasets import ShapesDataset
from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.datasets.shapes import LEVELS
from overtop.encoders.compat import open_clip
from overtop.errors import OvertopError
from overtop.storage.files import sha256
from overtop.storage.split import Split
from overtop.training import contrastive as training
from overtop.training.contrastive import contrastive_loss, draw_captions, learning_rate, recall_of, train_encoder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Split, Split, Path]:
    data = tmp_path_factory.mktemp("data")
    spec = ShapesDataset(kind="shapes", images={"train": 40, "val": 10})
    return drawn(spec, "train", data), drawn(spec, "val", data), data


def _spec(**recipe: object) -> EncoderSpec:
    train = TrainSpec.model_validate({"dataset": "shapes", "epochs": 2, "batch_size": 16, **recipe})
    return EncoderSpec(architecture="shapes-vit", train=train)


def test_training_is_reproducible_and_seeds_differ(world: tuple[Split, Split, Path], tmp_path: Path) -> None:
    train, val, raw = world
    recalls = train_encoder("a", _spec(), train, val, raw, tmp_path / "a.safetensors", seed=0)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    train_encoder("a", _spec(), train, val, raw, tmp_path / "b.safetensors", seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert sha256(tmp_path / "a.safetensors") == sha256(tmp_path / "b.safetensors")
    train_encoder("a", _spec(seed=1), train, val, raw, tmp_path / "c.safetensors", seed=0)
    assert sha256(tmp_path / "a.safetensors") != sha256(tmp_path / "c.safetensors")
    assert set(recalls) == {"t2i", "i2t", *(f"t2i {level}" for level in LEVELS)}
    assert open_clip.create_model("shapes-vit", pretrained=str(tmp_path / "a.safetensors")) is not None


def test_training_fits_what_it_sees(world: tuple[Split, Split, Path], tmp_path: Path) -> None:
    """Forty images are learned by heart: the gradient goes the right way in both towers."""
    train, _, raw = world
    spec = _spec(epochs=40, caption_weights={"exact": 1})
    assert train_encoder("a", spec, train, train, raw, tmp_path / "a.safetensors", seed=0)["t2i exact"] > 0.5


def test_a_batch_larger_than_the_split_is_refused(world: tuple[Split, Split, Path], tmp_path: Path) -> None:
    train, val, raw = world
    with pytest.raises(OvertopError, match=r"encoders\.a\.train\.batch_size is 41, .* only 40 images"):
        train_encoder("a", _spec(batch_size=41), train, val, raw, tmp_path / "a.safetensors", seed=0)
    spec = EncoderSpec(architecture="shapes-vit", checkpoint="x")
    with pytest.raises(OvertopError, match="has no `train`"):
        train_encoder("a", spec, train, val, raw, tmp_path / "a.safetensors", seed=0)
    assert not (tmp_path / "a.safetensors").exists()


def test_the_loss_is_that_of_plain_loops() -> None:
    rng = np.random.default_rng(0)
    images, texts = (row / np.linalg.norm(row, axis=1, keepdims=True) for row in rng.normal(size=(2, 5, 3)))
    scale, total = 7.0, 0.0
    for i in range(5):
        row = [scale * images[i] @ texts[j] for j in range(5)]
        column = [scale * images[j] @ texts[i] for j in range(5)]
        for logits in (row, column):
            total -= math.log(math.exp(logits[i]) / sum(map(math.exp, logits))) / 10
    found = contrastive_loss(torch.tensor(images), torch.tensor(texts), torch.tensor(scale))
    assert found.item() == pytest.approx(total, abs=1e-12)


def test_learning_rate_warms_up_and_comes_down_to_zero() -> None:
    recipe = TrainSpec(dataset="x", learning_rate=2.0, warm_up=0.2)
    rates = [learning_rate(step, 50, recipe) for step in range(50)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == 2.0
    assert rates[30] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert learning_rate(0, 50, recipe.model_copy(update={"warm_up": 0.0})) == 2.0


def test_captions_are_drawn_in_proportion_to_their_weights() -> None:
    split = Split(["a", "b"], ["", ""], [*"12345"], [*"vwxyz"], np.array([0, 0, 1, 1, 1]), None, [*"pqpqr"])
    rng = np.random.default_rng(0)
    drawn = np.array([draw_captions(split, {"p": 3, "q": 1}, rng) for _ in range(4000)])
    assert set(drawn[:, 0]) == {0, 1}
    assert set(drawn[:, 1]) == {2, 3}  # level r has no weight
    np.testing.assert_allclose([(drawn[:, 0] == 0).mean(), (drawn[:, 1] == 2).mean()], 0.75, atol=0.03)
    even = np.array([draw_captions(split, {}, rng) for _ in range(4000)])
    np.testing.assert_allclose(np.bincount(even[:, 1], minlength=5)[2:] / 4000, 1 / 3, atol=0.03)


def test_draws_see_every_image_once_an_epoch(world: tuple[Split, Split, Path]) -> None:
    train = world[0]
    recipe = TrainSpec(dataset="shapes", epochs=3, batch_size=20)
    batches = list(training.draws(train, recipe, 0))
    assert len(batches) == 6
    for epoch in range(3):
        images, captions = (np.concatenate(parts) for parts in zip(*batches[2 * epoch : 2 * epoch + 2], strict=True))
        assert sorted(images) == list(range(40))
        np.testing.assert_array_equal(train.image_of_caption[captions], images)


def test_recall_is_that_of_plain_loops() -> None:
    rng = np.random.default_rng(1)
    own = np.array([0, 0, 1, 2, 2, 3])
    split = Split([*"abcd"], [""] * 4, [*"123456"], [*"uvwxyz"], own, None, [*"ppqqpq"])
    images, texts = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    images[3] = images[0]  # a tie: the smaller index wins
    texts[5] = 2 * images[0]
    hits = [max(range(4), key=lambda n: (_cosine(texts[m], images[n]), -n)) == own[m] for m in range(6)]
    back = [own[max(range(6), key=lambda m: (_cosine(texts[m], images[n]), -m))] == n for n in range(4)]
    found = recall_of(images, texts, split)
    assert found["t2i"] == pytest.approx(np.mean(hits))
    assert found["i2t"] == pytest.approx(np.mean(back))
    assert found["t2i p"] == pytest.approx(np.mean([hits[0], hits[1], hits[4]]))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return round(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), 12)


def test_token_embeddings_learn_only_where_tokens_occur(world: tuple[Split, Split, Path], tmp_path: Path) -> None:
    train, val, raw = world
    train_encoder("a", _spec(), train, val, raw, tmp_path / "a.safetensors", seed=0)
    with training.reproducible(1, training.derive_seed(0, "weights", 0)):
        untrained = training.build_model("a", TRAINED, None).token_embedding.weight
    trained = open_clip.create_model("shapes-vit", pretrained=str(tmp_path / "a.safetensors")).token_embedding.weight
    touched = (trained != untrained).any(dim=1).nonzero().flatten().tolist()
    assert set(touched) <= set(open_clip.get_tokenizer("shapes-vit")(train.captions).flatten().tolist())
    assert len(touched) > 20
