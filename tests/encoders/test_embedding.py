import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from overtop.encoders import embedding, shortcuts
from overtop.encoders.compat import open_clip
from overtop.encoders.dropout import attention_dropout
from overtop.encoders.embedding import Compute, embed_images, embed_texts
from overtop.encoders.loading import Encoder
from overtop.encoders.masks import Masks
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
                items = pixels[3 * batch : 3 * batch + 3]
                with Masks(derive_seed(7, number_of_pass, batch), 3, np.arange(len(items))):
                    expected = shortcuts.encode_image(encoder.model, items)
                np.testing.assert_array_equal(found[number_of_pass, 3 * batch : 3 * batch + 3], expected)


def test_a_pass_does_not_depend_on_how_many_there_are_or_where_they_begin(encoder: Encoder, images: list[Path]) -> None:
    for embed, items in ((embed_images, images), (embed_texts, CAPTIONS)):
        whole = embed(encoder, items, Sampling(0.3, 6), seed=7, batch_size=3).embedding
        np.testing.assert_array_equal(embed(encoder, items, Sampling(0.3, 2), 7, batch_size=3).embedding, whole[:2])
        later = embed(encoder, items, Sampling(0.3, 3, first=3), seed=7, batch_size=3).embedding
        np.testing.assert_array_equal(later, whole[3:])


class _Memory:
    """A network that fails on more than so many items, as its device would; counts what got through."""

    def __init__(self, encode: Any, fits: int, error: Exception) -> None:
        self.encode, self.fits, self.error = encode, fits, error
        self.sizes: list[int] = []

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        found = self.encode(batch)  # masks are drawn before memory runs out
        if len(batch) > self.fits:
            raise self.error
        self.sizes.append(len(batch))
        return found


SHORT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:83] data. DefaultCPUAllocator: not enough memory: you tried"),
    MemoryError(),
]


@pytest.mark.parametrize("sampling", [Sampling(), DROPOUT])
@pytest.mark.parametrize(("fits", "sizes"), [(4, [3, 3, 2]), (1, [1] * 8)])
def test_a_batch_that_does_not_fit_is_halved_with_the_same_masks(
    encoder: Encoder,
    images: list[Path],
    sampling: Sampling,
    fits: int,
    sizes: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = embed_images(encoder, images, sampling, seed=7, batch_size=6).embedding
    short = _Memory(encoder.model.encode_image, fits, SHORT_OF_MEMORY[0])
    encoder.model.encode_image = short
    with caplog.at_level(logging.WARNING):
        found = embed_images(encoder, images, sampling, seed=7, batch_size=6).embedding
    np.testing.assert_allclose(found, whole, atol=2e-6)
    assert short.sizes[:: sampling.passes] == sizes
    assert len(caplog.records) == 1
    assert f"parts of {max(short.sizes)} do; set embedding.batch_size.image" in caplog.text


@pytest.mark.parametrize("error", SHORT_OF_MEMORY)
def test_captions_are_halved_too_whatever_the_words(encoder: Encoder, error: Exception) -> None:
    whole = embed_texts(encoder, CAPTIONS, DROPOUT, seed=7).embedding
    encoder.model.encode_text = _Memory(encoder.model.encode_text, 2, error)
    np.testing.assert_allclose(embed_texts(encoder, CAPTIONS, DROPOUT, seed=7).embedding, whole, atol=2e-6)


def test_a_single_item_that_does_not_fit_is_an_error(encoder: Encoder) -> None:
    encoder.model.encode_text = _Memory(encoder.model.encode_text, 0, SHORT_OF_MEMORY[0])
    with pytest.raises(OvertopError, match=r"not even one text .* smaller model, or embedding\.precision: bf16"):
        embed_texts(encoder, CAPTIONS, Sampling(), seed=0)


def test_other_errors_stay_what_they_are(encoder: Encoder) -> None:
    encoder.model.encode_text = _Memory(encoder.model.encode_text, 2, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="multiplied"):
        embed_texts(encoder, CAPTIONS, Sampling(), seed=0)


def test_dropout_that_draws_no_mask_of_ours_is_an_error(encoder: Encoder) -> None:
    encoder.model.encode_text = lambda tokens: torch.zeros(len(tokens), 64)
    with pytest.raises(OvertopError, match="out of reach"):
        embed_texts(encoder, CAPTIONS, DROPOUT, seed=0)


def test_a_tower_without_anything_to_drop_runs_once_for_all_passes(encoder: Encoder, images: list[Path]) -> None:
    encoder.model.visual = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 48 * 48, 64)).eval()
    runs = _Memory(encoder.model.encode_image, 8, MemoryError())
    encoder.model.encode_image = runs
    found = embed_images(encoder, images, DROPOUT, seed=0)
    assert found.dropped == "none"
    assert runs.sizes == [8]
    assert found.embedding.shape == (4, 8, 64)
    assert (found.embedding == found.embedding[0]).all()


def test_equal_captions_are_embedded_once_but_sampled_apart(encoder: Encoder) -> None:
    captions = ["a star", *CAPTIONS, "A  STAR", *CAPTIONS]
    told: list[int] = []
    runs = _Memory(encoder.model.encode_text, 99, MemoryError())
    encoder.model.encode_text = runs
    found = embed_texts(encoder, captions, Sampling(), seed=0, batch_size=2, progress=told.append).embedding[0]
    assert sum(runs.sizes) == len(CAPTIONS)
    assert sum(told) == len(captions)
    assert (found[[0, 6]] == found[5]).all()
    np.testing.assert_array_equal(found[1:6], found[7:])
    np.testing.assert_allclose(found[1:6], embed_texts(encoder, CAPTIONS, Sampling(), seed=0).embedding[0], atol=1e-6)
    sampled = embed_texts(encoder, captions, DROPOUT, seed=0).embedding
    assert (sampled[:, 0] != sampled[:, 5]).any()


@pytest.mark.parametrize("sampling", [Sampling(), DROPOUT])
@pytest.mark.parametrize(("precision", "atol"), [("bf16", 0.1), ("fp16", 0.02)])
def test_mixed_precision_is_near_and_comes_out_as_float32(
    encoder: Encoder, images: list[Path], sampling: Sampling, precision: Any, atol: float
) -> None:
    for embed, items in ((embed_images, images), (embed_texts, CAPTIONS)):
        full = embed(encoder, items, sampling, seed=0).embedding
        mixed = embed(encoder, items, sampling, seed=0, compute=Compute(precision)).embedding
        assert mixed.dtype == np.float32
        assert (mixed != full).any()
        np.testing.assert_allclose(mixed, full, atol=atol)


@pytest.mark.parametrize(
    ("device", "compile_", "dropped", "compiled"),
    [
        ("cuda", True, "none", True),
        ("cuda", False, "none", False),
        ("cuda", True, "attention dropout in 3 layers", False),
        ("cpu", True, "none", False),
    ],
)
def test_only_what_a_gpu_runs_without_dropout_is_compiled(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, device: str, compile_: bool, dropped: str, compiled: bool
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch, "compile", asked.append)
    there = dataclasses.replace(encoder, device=torch.device(device))
    for modality, encode in (("image", encoder.model.encode_image), ("text", encoder.model.encode_text)):
        tower = embedding._Tower(there, modality, Sampling(), 0, 4, Compute(compile=compile_), dropped)
        assert tower.compiled == compiled
        assert asked == ([encode] if compiled else [])
        asked.clear()


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
    assert sorted(decoded) == sorted(images)


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
    mended = [with_broken[0], *[with_broken[4]] * 4]  # whether others can be read changes nobody's masks
    whole = embed_images(encoder, mended, DROPOUT, seed=0, batch_size=batch_size).embedding
    np.testing.assert_allclose(found.embedding[:, [0, 4]], whole[:, [0, 4]], atol=2e-6)


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
