import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from overtop.encoders import embedding
from overtop.encoders.compat import open_clip
from overtop.encoders.dropout import attention_dropout
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.seeds import derive_seed

CAPTIONS = [
    "a red circle",
    "some shapes",
    "a large blue square above a small green star",
    "three shapes in all",
    "a star",
]
DROPOUT = Sampling.dropout(0.3, 4)


def test_images_are_what_the_model_says_of_them_one_by_one(encoder: Encoder, images: list[Path]) -> None:
    found = embed_images(encoder, images, Sampling(), seed=0, batch_size=3)
    with torch.inference_mode():
        expected = [encoder.model.encode_image(encoder.preprocess(Image.open(path))[None])[0] for path in images]
    assert found.embedding.shape == (1, 8, 64)
    assert found.embedding.dtype == np.float32
    np.testing.assert_allclose(found.embedding[0], torch.stack(expected), atol=1e-5)
    assert found.valid.all()
    assert found.dropped == "none"


def test_captions_are_what_the_model_says_of_them_one_by_one(encoder: Encoder) -> None:
    found = embed_texts(encoder, [*CAPTIONS, "red " * 50], Sampling(), seed=0, batch_size=2)
    with torch.inference_mode():
        expected = [encoder.model.encode_text(encoder.tokenizer([text]))[0] for text in [*CAPTIONS, "red " * 50]]
    np.testing.assert_allclose(found.embedding[0], torch.stack(expected), atol=1e-5)
    assert found.n_truncated == 1


def test_passes_are_a_plain_loop_with_seeded_masks(encoder: Encoder, images: list[Path]) -> None:
    found = embed_images(encoder, images, DROPOUT, seed=7, batch_size=3).embedding
    pixels = torch.stack([encoder.preprocess(Image.open(path)) for path in images])
    with torch.inference_mode(), attention_dropout(encoder.model, 0.3):
        for number_of_pass in range(4):
            for batch in range(3):
                torch.manual_seed(derive_seed(7, number_of_pass, batch))
                rows = slice(3 * batch, 3 * batch + 3)
                expected = encoder.model.encode_image(pixels[rows])
                np.testing.assert_array_equal(found[number_of_pass, rows], expected)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(encoder: Encoder, images: list[Path]) -> None:
    for embed, items in ((embed_images, images), (embed_texts, CAPTIONS)):
        torch.manual_seed(1)
        first = embed(encoder, items, DROPOUT, seed=7).embedding
        before = torch.get_rng_state()
        again = embed(encoder, items, DROPOUT, seed=7).embedding
        assert torch.equal(before, torch.get_rng_state())  # nobody else's random numbers are touched
        assert first.tobytes() == again.tobytes()
        other = embed(encoder, items, DROPOUT, seed=8).embedding
        assert (first != other).any(axis=2).all()
        assert (first[0] != first[1]).any(axis=1).all()  # passes differ, for every item


def test_what_was_dropped_is_told(encoder: Encoder, images: list[Path]) -> None:
    assert embed_images(encoder, images[:1], DROPOUT, seed=0).dropped == "attention dropout in 3 layers"
    assert embed_texts(encoder, CAPTIONS[:1], DROPOUT, seed=0).dropped == "attention dropout in 2 layers"


def test_every_image_is_decoded_once_for_all_passes(
    encoder: Encoder, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    original = embedding.read_image

    def counting(path: Path, preprocess: Any) -> torch.Tensor:
        decoded.append(path)
        return original(path, preprocess)

    monkeypatch.setattr(embedding, "read_image", counting)
    embed_images(encoder, images, DROPOUT, seed=0, batch_size=3)
    assert decoded == images


@pytest.fixture
def with_broken(images: list[Path], tmp_path: Path) -> list[Path]:
    """Image 1 is cut short, 2 is text, 3 is missing."""
    cut, text = tmp_path / "cut.png", tmp_path / "text.jpg"
    cut.write_bytes(images[0].read_bytes()[:200])
    text.write_text("no picture")
    return [images[0], cut, text, tmp_path / "missing.png", images[1]]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_unreadable_images_can_be_skipped(
    encoder: Encoder, with_broken: list[Path], caplog: pytest.LogCaptureFixture, batch_size: int
) -> None:
    with caplog.at_level(logging.WARNING):
        found = embed_images(encoder, with_broken, DROPOUT, seed=0, batch_size=batch_size, on_error="skip")
    assert found.valid.tolist() == [True, False, False, False, True]
    assert np.isnan(found.embedding[:, 1:4]).all()
    assert np.isfinite(found.embedding[:, [0, 4]]).all()
    for name in ("cut.png", "text.jpg", "missing.png"):
        assert name in caplog.text
    readable = embed_images(encoder, [with_broken[0], with_broken[4]], Sampling(), seed=0).embedding
    skipped = embed_images(encoder, with_broken, Sampling(), seed=0, batch_size=batch_size, on_error="skip").embedding
    np.testing.assert_allclose(skipped[:, [0, 4]], readable, atol=1e-5)


def test_unreadable_images_fail_by_name(encoder: Encoder, with_broken: list[Path]) -> None:
    with pytest.raises(OvertopError, match=r"cut\.png cannot be read .* on_error: skip"):
        embed_images(encoder, with_broken, Sampling(), seed=0)


def test_progress_counts_every_item(encoder: Encoder, images: list[Path]) -> None:
    told: list[int] = []
    embed_images(encoder, images, Sampling(), seed=0, batch_size=3, progress=told.append)
    assert told == [3, 3, 2]
    told.clear()
    embed_texts(encoder, CAPTIONS, Sampling(), seed=0, batch_size=4, progress=told.append)
    assert told == [4, 1]


def test_nothing_in_nothing_out(encoder: Encoder) -> None:
    assert embed_images(encoder, [], DROPOUT, seed=0).embedding.shape == (4, 0, 64)


class _WordTokenizer:
    """Ids of words, padded with 0, as Hugging Face tokenizers pad."""

    context_length = 12

    def __call__(self, texts: list[str], context_length: int = 12) -> torch.Tensor:
        rows = [[1 + len(word) for word in text.split()][:context_length] for text in texts]
        return torch.tensor([row + [0] * (context_length - len(row)) for row in rows])


def test_towers_that_mask_padding_get_short_batches_and_the_order_stays(encoder: Encoder) -> None:
    from transformers import BertConfig

    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    tower = open_clip.hf_model.HFTextEncoder(
        "", 64, config=config, pooler_type="mean_pooler", proj_type="linear"
    ).eval()
    widths: list[int] = []

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text = tower

        def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
            widths.append(tokens.shape[1])
            return tower(tokens)

    encoder = dataclasses.replace(encoder, model=Model().eval(), tokenizer=_WordTokenizer())
    found = embed_texts(encoder, CAPTIONS, Sampling(), seed=0, batch_size=2)
    assert widths == [2, 4, 9]  # sorted by length, cut to the longest
    with torch.inference_mode():
        expected = tower(_WordTokenizer()(CAPTIONS))
    np.testing.assert_allclose(found.embedding[0], expected, atol=1e-5)
