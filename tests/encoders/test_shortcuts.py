"""The faster encoding of every kind of tower gives the same embeddings as open_clip's own."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from overtop.encoders.compat import open_clip
from overtop.encoders.loading import Encoder
from overtop.encoders.shortcuts import encode_image, encode_text, shortened_context, token_counts

START_TOKEN, END_TOKEN = 49406, 49407
LENGTHS = [3, 5, 9, 12]
"""Tokens of each caption, including start and end tokens."""


def _build_model(architecture: str, custom: bool = False, **text: Any) -> Any:
    """An open_clip model with two layers per tower and weights large enough that tokens affect each other."""
    config = open_clip.get_model_config(architecture)
    config["text_cfg"] |= {"layers": 2, "heads": 4, "width": 64, **text}
    config["vision_cfg"] |= {"layers": 2, "width": 64, "head_width": 16}
    custom = config.pop("custom_text", False) or custom
    model_class = (
        open_clip.CoCa
        if "multimodal_cfg" in config
        else open_clip.model.CustomTextCLIP
        if custom
        else open_clip.model.CLIP
    )
    torch.manual_seed(0)
    model = model_class(**config).eval()
    for tower in (model.visual, model.text if hasattr(model, "text") else model.transformer):
        for parameter in tower.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.2)
    return model


def _make_tokens(context: int = 77) -> torch.Tensor:
    rng = np.random.default_rng(0)
    tokens = np.zeros((len(LENGTHS), context), dtype=np.int64)
    for row, length in zip(tokens, LENGTHS, strict=True):
        row[:length] = [START_TOKEN, *rng.integers(1, 40_000, length - 2), END_TOKEN]
    return torch.from_numpy(tokens)


@pytest.fixture(scope="module", params=["ViT-B-32", "ViT-B-32-quickgelu", "ViT-L-14", "separate text tower", "eos"])
def causal_model(request: pytest.FixtureRequest) -> Any:
    if request.param == "separate text tower":
        return _build_model("ViT-B-32", custom=True)
    if request.param == "eos":
        return _build_model("ViT-B-32", custom=True, pool_type="eos", eos_id=END_TOKEN)
    return _build_model(request.param)


def test_captions_cut_after_their_end_token_have_the_same_embedding(causal_model: Any) -> None:
    tokens = _make_tokens()
    assert token_counts(causal_model, tokens).tolist() == LENGTHS
    with torch.inference_mode():
        expected = causal_model.encode_text(tokens)
        with shortened_context(causal_model, 12):
            torch.testing.assert_close(causal_model.encode_text(tokens[:, :12]), expected)
            torch.testing.assert_close(encode_text(causal_model, tokens[:, :12]), expected)
        torch.testing.assert_close(encode_text(causal_model, tokens), expected)
        assert torch.equal(causal_model.encode_text(tokens), expected)  # the model is unchanged
        with shortened_context(causal_model, 11):  # the longest caption loses its end token
            assert (causal_model.encode_text(tokens[:, :11])[3] - expected[3]).abs().max() > 0.1


def test_embedding_depends_on_the_tokens_before_the_end(causal_model: Any) -> None:
    tokens = _make_tokens()
    changed_tokens = tokens.clone()
    changed_tokens[:, 1] += 1
    with torch.inference_mode(), shortened_context(causal_model, 12):
        first = encode_text(causal_model, tokens[:, :12])
        second = encode_text(causal_model, changed_tokens[:, :12])
    assert ((first - second).abs().amax(dim=1) > 0.01).all()


@pytest.mark.parametrize(
    ("architecture", "text"),
    [
        ("coca_ViT-B-32", {}),
        ("ViT-B-32", {"no_causal_mask": True}),
        ("ViT-B-32", {"pool_type": "last"}),
        ("ViT-B-32", {"no_causal_mask": True, "pool_type": "last"}),
    ],
)
def test_other_text_towers_run_unchanged(architecture: str, text: dict[str, Any]) -> None:
    model = _build_model(architecture, custom=True, **text)
    tokens = _make_tokens(76 if architecture.startswith("coca") else 77)
    assert token_counts(model, tokens) is None
    with torch.inference_mode():
        expected = model.encode_text(tokens)
        with shortened_context(model, tokens.shape[1]):
            assert torch.equal(encode_text(model, tokens), expected)


@pytest.mark.parametrize(
    ("architecture", "is_unchanged"),
    [
        ("ViT-B-32", False),
        ("ViT-B-32-quickgelu", False),
        ("ViT-L-14", False),
        ("coca_ViT-B-32", True),  # pooled by attention
        ("ViT-B-32", True),  # pooled over all tokens
    ],
)
def test_image_embedding_equals_that_of_open_clip(architecture: str, is_unchanged: bool) -> None:
    model = _build_model(architecture)
    if is_unchanged and architecture == "ViT-B-32":
        model.visual.pool_type = "avg"
    pixels = torch.randn(3, 3, 224, 224)
    with torch.inference_mode():
        expected = model.encode_image(pixels)
        embedding = encode_image(model, pixels)
        assert torch.equal(model.encode_image(pixels), expected)
    assert torch.equal(embedding, expected) == is_unchanged
    torch.testing.assert_close(embedding, expected, atol=1e-4, rtol=1e-4)


def test_embeddings_of_shapes_vit_equal_those_of_open_clip(encoder: Encoder) -> None:
    tokens, _ = encoder.tokenize(["a red circle", "a large blue square above a small green star"])
    pixels = torch.randn(2, 3, 48, 48)
    counts = token_counts(encoder.model, tokens)
    assert counts is not None
    assert counts[0] < counts[1] < 32
    with torch.inference_mode(), shortened_context(encoder.model, counts[1]):
        embedding = encode_text(encoder.model, tokens[:, : counts[1]])
    with torch.inference_mode():
        torch.testing.assert_close(embedding, encoder.model.encode_text(tokens))
        torch.testing.assert_close(encode_image(encoder.model, pixels), encoder.model.encode_image(pixels))
