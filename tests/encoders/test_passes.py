import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.encoder_inputs import CAPTIONS, LimitedMemoryEncode
from overtop.encoders import shortcuts
from overtop.encoders.dropout import attention_dropout
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder
from overtop.encoders.masks import DropoutMasks
from overtop.encoders.passes import ComputeOptions, TowerPasses, open_tower
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.seeds import derive_seed

DROPOUT = Sampling.dropout(0.3, 4)


def test_passes_equal_a_plain_loop_with_seeded_masks(encoder: Encoder, images: list[Path]) -> None:
    samples = embed_images(encoder, images, DROPOUT, seed=7, batch_size=3).embedding
    pixels = torch.stack([encoder.preprocess(Image.open(path)) for path in images])
    with torch.inference_mode(), attention_dropout(encoder.model, 0.3):
        for pass_number in range(4):
            for batch in range(3):
                items = pixels[3 * batch : 3 * batch + 3]
                with DropoutMasks(derive_seed(7, pass_number, batch), 3, np.arange(len(items))):
                    expected = shortcuts.encode_image(encoder.model, items)
                np.testing.assert_array_equal(samples[pass_number, 3 * batch : 3 * batch + 3], expected)


def test_pass_does_not_depend_on_the_other_passes_of_a_run(encoder: Encoder, images: list[Path]) -> None:
    for embed, items in ((embed_images, images), (embed_texts, CAPTIONS)):
        six_passes = embed(encoder, items, Sampling(0.3, 6), seed=7, batch_size=3).embedding
        first_two = embed(encoder, items, Sampling(0.3, 2), 7, batch_size=3).embedding
        np.testing.assert_array_equal(first_two, six_passes[:2])
        last_three = embed(encoder, items, Sampling(0.3, 3, first=3), seed=7, batch_size=3).embedding
        np.testing.assert_array_equal(last_three, six_passes[3:])


OUT_OF_MEMORY_ERRORS = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:83] data. DefaultCPUAllocator: not enough memory: you tried"),
    MemoryError(),
]


@pytest.mark.parametrize("sampling", [Sampling(), DROPOUT])
@pytest.mark.parametrize(("capacity", "part_sizes"), [(4, [3, 3, 2]), (1, [1] * 8)])
def test_batch_that_exceeds_memory_is_run_in_parts_with_the_same_masks(
    encoder: Encoder,
    images: list[Path],
    sampling: Sampling,
    capacity: int,
    part_sizes: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = embed_images(encoder, images, sampling, seed=7, batch_size=6).embedding
    limited_encode = LimitedMemoryEncode(encoder.model.encode_image, capacity, OUT_OF_MEMORY_ERRORS[0])
    encoder.model.encode_image = limited_encode
    with caplog.at_level(logging.WARNING):
        in_parts = embed_images(encoder, images, sampling, seed=7, batch_size=6).embedding
    np.testing.assert_allclose(in_parts, expected, atol=2e-6)
    assert limited_encode.batch_sizes[:: sampling.passes] == part_sizes
    assert len(caplog.records) == 1
    assert f"parts of {max(limited_encode.batch_sizes)} do; set embedding.batch_size.image" in caplog.text


@pytest.mark.parametrize("error", OUT_OF_MEMORY_ERRORS)
def test_captions_are_run_in_parts_after_every_kind_of_memory_error(encoder: Encoder, error: Exception) -> None:
    expected = embed_texts(encoder, CAPTIONS, DROPOUT, seed=7).embedding
    encoder.model.encode_text = LimitedMemoryEncode(encoder.model.encode_text, 2, error)
    np.testing.assert_allclose(embed_texts(encoder, CAPTIONS, DROPOUT, seed=7).embedding, expected, atol=2e-6)


def test_single_item_that_exceeds_memory_is_an_error(encoder: Encoder) -> None:
    encoder.model.encode_text = LimitedMemoryEncode(encoder.model.encode_text, 0, OUT_OF_MEMORY_ERRORS[0])
    with pytest.raises(OvertopError, match=r"not even one text .* smaller model, or embedding\.precision: bf16"):
        embed_texts(encoder, CAPTIONS, Sampling(), seed=0)


def test_other_errors_of_the_network_are_raised(encoder: Encoder) -> None:
    error = RuntimeError("shapes cannot be multiplied")
    encoder.model.encode_text = LimitedMemoryEncode(encoder.model.encode_text, 2, error)
    with pytest.raises(RuntimeError, match="multiplied"):
        embed_texts(encoder, CAPTIONS, Sampling(), seed=0)


def test_tower_that_does_not_use_the_seeded_masks_is_rejected(encoder: Encoder) -> None:
    encoder.model.encode_text = lambda tokens: torch.zeros(len(tokens), 64)
    with pytest.raises(OvertopError, match="would not be reproducible"):
        embed_texts(encoder, CAPTIONS, DROPOUT, seed=0)


def test_tower_without_dropout_runs_once_for_all_passes(encoder: Encoder, images: list[Path]) -> None:
    encoder.model.visual = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 48 * 48, 64)).eval()
    encode = LimitedMemoryEncode(encoder.model.encode_image, 8, MemoryError())
    encoder.model.encode_image = encode
    result = embed_images(encoder, images, DROPOUT, seed=0)
    assert result.dropout == "none"
    assert encode.batch_sizes == [8]
    assert result.embedding.shape == (4, 8, 64)
    assert (result.embedding == result.embedding[0]).all()


@pytest.mark.parametrize("sampling", [Sampling(), DROPOUT])
@pytest.mark.parametrize(("precision", "atol"), [("bf16", 0.1), ("fp16", 0.02)])
def test_mixed_precision_embeddings_are_close_and_float32(
    encoder: Encoder, images: list[Path], sampling: Sampling, precision: Any, atol: float
) -> None:
    for embed, items in ((embed_images, images), (embed_texts, CAPTIONS)):
        full = embed(encoder, items, sampling, seed=0).embedding
        mixed = embed(encoder, items, sampling, seed=0, options=ComputeOptions(precision)).embedding
        assert mixed.dtype == np.float32
        assert (mixed != full).any()
        np.testing.assert_allclose(mixed, full, atol=atol)


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_products_are_in_tf32_only_if_that_is_the_precision(
    encoder: Encoder, precision: Any, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # torch's default
    with open_tower(encoder, "image", Sampling(), 0, 1, ComputeOptions(precision)):
        assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (allowed, allowed)
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("device", "compile_option", "dropout", "is_compiled"),
    [
        ("cuda", True, "none", True),
        ("cuda", False, "none", False),
        ("cuda", True, "attention dropout in 3 layers", False),
        ("cpu", True, "none", False),
    ],
)
def test_tower_is_compiled_only_on_a_gpu_without_dropout(
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    compile_option: bool,
    dropout: str,
    is_compiled: bool,
) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", compiled.append)
    encoder = dataclasses.replace(encoder, device=torch.device(device))
    for modality, encode in (("image", encoder.model.encode_image), ("text", encoder.model.encode_text)):
        options = ComputeOptions(compile=compile_option)
        tower = TowerPasses(encoder, modality, Sampling(), 0, 4, options, dropout)
        assert tower.is_compiled == is_compiled
        assert compiled == ([encode] if is_compiled else [])
        compiled.clear()
