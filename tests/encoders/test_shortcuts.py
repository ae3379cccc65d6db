"""What is left out changes nothing: every tower that is shortened agrees with the model as open_clip runs it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from overtop.encoders.compat import open_clip
from overtop.encoders.loading import Encoder
from overtop.encoders.shortcuts import encode_image, encode_text, shortened, token_counts

START, END = 49406, 49407
LENGTHS = [3, 5, 9, 12]
"""Tokens of each caption, start and end included."""


def _model(architecture: str, custom: bool = False, **text: Any) -> Any:
    """One of open_clip's models with two layers a tower, its weights large enough that tokens matter to each other."""
    config = open_clip.get_model_config(architecture)
    config["text_cfg"] |= {"layers": 2, "heads": 4, "width": 64, **text}
    config["vision_cfg"] |= {"layers": 2, "width": 64, "head_width": 16}
    custom = config.pop("custom_text", False) or custom
    kind = (
        open_clip.CoCa
        if "multimodal_cfg" in config
        else open_clip.model.CustomTextCLIP
        if custom
        else open_clip.model.CLIP
    )
    torch.manual_seed(0)
    model = kind(**config).eval()
    for tower in (model.visual, model.text if hasattr(model, "text") else model.transformer):
        for parameter in tower.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.2)
    return model


def _tokens(context: int = 77) -> torch.Tensor:
    rng = np.random.default_rng(0)
    tokens = np.zeros((len(LENGTHS), context), dtype=np.int64)
    for row, length in zip(tokens, LENGTHS, strict=True):
        row[:length] = [START, *rng.integers(1, 40_000, length - 2), END]
    return torch.from_numpy(tokens)


@pytest.fixture(scope="module", params=["ViT-B-32", "ViT-B-32-quickgelu", "ViT-L-14", "own text tower", "eos"])
def causal(request: pytest.FixtureRequest) -> Any:
    if request.param == "own text tower":
        return _model("ViT-B-32", custom=True)
    if request.param == "eos":
        return _model("ViT-B-32", custom=True, pool_type="eos", eos_id=END)
    return _model(request.param)


def test_captions_are_cut_behind_their_end_token(causal: Any) -> None:
    tokens = _tokens()
    assert token_counts(causal, tokens).tolist() == LENGTHS
    with torch.inference_mode():
        expected = causal.encode_text(tokens)
        with shortened(causal, 12):
            torch.testing.assert_close(causal.encode_text(tokens[:, :12]), expected)
            torch.testing.assert_close(encode_text(causal, tokens[:, :12]), expected)
        torch.testing.assert_close(encode_text(causal, tokens), expected)
        assert torch.equal(causal.encode_text(tokens), expected)  # all is as it was
        with shortened(causal, 11):  # the longest loses its end
            assert (causal.encode_text(tokens[:, :11])[3] - expected[3]).abs().max() > 0.1


def test_every_token_up_to_the_end_counts(causal: Any) -> None:
    tokens = _tokens()
    other = tokens.clone()
    other[:, 1] += 1
    with torch.inference_mode(), shortened(causal, 12):
        one, two = encode_text(causal, tokens[:, :12]), encode_text(causal, other[:, :12])
    assert ((one - two).abs().amax(dim=1) > 0.01).all()


@pytest.mark.parametrize(
    ("architecture", "text"),
    [
        ("coca_ViT-B-32", {}),
        ("ViT-B-32", {"no_causal_mask": True}),
        ("ViT-B-32", {"pool_type": "last"}),
        ("ViT-B-32", {"no_causal_mask": True, "pool_type": "last"}),
    ],
)
def test_other_text_towers_stay_whole(architecture: str, text: dict[str, Any]) -> None:
    model = _model(architecture, custom=True, **text)
    tokens = _tokens(76 if architecture.startswith("coca") else 77)
    assert token_counts(model, tokens) is None
    with torch.inference_mode():
        expected = model.encode_text(tokens)
        with shortened(model, tokens.shape[1]):
            assert torch.equal(encode_text(model, tokens), expected)


@pytest.mark.parametrize(
    ("architecture", "exactly"),
    [
        ("ViT-B-32", False),
        ("ViT-B-32-quickgelu", False),
        ("ViT-L-14", False),
        ("coca_ViT-B-32", True),  # pooled by attention
        ("ViT-B-32", True),  # pooled over all tokens
    ],
)
def test_image_towers(architecture: str, exactly: bool) -> None:
    model = _model(architecture)
    if exactly and architecture == "ViT-B-32":
        model.visual.pool_type = "avg"
    pixels = torch.randn(3, 3, 224, 224)
    with torch.inference_mode():
        expected = model.encode_image(pixels)
        found = encode_image(model, pixels)
        assert torch.equal(model.encode_image(pixels), expected)
    assert torch.equal(found, expected) == exactly
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_projects_own(encoder: Encoder) -> None:
    tokens, _ = encoder.tokenize(["a red circle", "a large blue square above a small green star"])
    pixels = torch.randn(2, 3, 48, 48)
    counts = token_counts(encoder.model, tokens)
    assert counts is not None
    assert counts[0] < counts[1] < 32
    with torch.inference_mode(), shortened(encoder.model, counts[1]):
        found = encode_text(encoder.model, tokens[:, : counts[1]])
    with torch.inference_mode():
        torch.testing.assert_close(found, encoder.model.encode_text(tokens))
        torch.testing.assert_close(encode_image(encoder.model, pixels), encoder.model.encode_image(pixels))
