"""Our MC dropout has the same distribution as a plain loop of MC dropout.

The plain loop is that of the released code: `resblock.attn.dropout = rate` in both towers, the whole model in train
mode, torch's own dropout, captions padded to the full context. Random numbers differ, so means and variances are
compared within their sampling error over 200 passes. Further tests show that the same bounds detect another rate and a
model in eval mode.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.datasets.shapes import write_images
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder, assemble_encoder, build_model
from overtop.encoders.sampling import Sampling

RATE, PASSES, ITEMS = 0.2, 200, 24
COLOURS, SHAPES = ("red", "green", "blue", "grey"), ("circle", "square", "star")
CAPTIONS = [
    f"a {'large ' * (n % 3)}{colour} {shape}{' above a small yellow triangle' * (n % 2)}"
    for n, (colour, shape) in enumerate((c, s) for c in [*COLOURS, *COLOURS] for s in SHAPES)
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """An encoder with random weights, large enough that attention is uneven and its dropout has an effect."""
    torch.manual_seed(0)
    model = build_model("tiny", SHAPES_SPEC, None)
    for name, parameter in model.named_parameters():
        if "attn" in name and parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.25)
    return assemble_encoder("tiny", SHAPES_SPEC, model, None, "cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_images(tmp_path_factory.mktemp("images"), "test", ITEMS, 48, 0)


@pytest.fixture(scope="module")
def plain_samples(encoder: Encoder, paths: list[Path]) -> dict[str, np.ndarray]:
    """Samples of 200 passes of the plain loop, by modality."""
    model = encoder.model
    for tower in (model.visual.transformer, model.transformer):
        for resblock in tower.resblocks:
            resblock.attn.dropout = RATE
    model.train()
    pixels = torch.stack([encoder.preprocess(Image.open(path)) for path in paths])
    tokens = encoder.tokenizer(CAPTIONS)
    torch.manual_seed(1)
    with torch.no_grad():
        samples = {
            "image": np.stack([model.encode_image(pixels).numpy() for _ in range(PASSES)]),
            "text": np.stack([model.encode_text(tokens).numpy() for _ in range(PASSES)]),
        }
    model.eval()
    for tower in (model.visual.transformer, model.transformer):
        for resblock in tower.resblocks:
            resblock.attn.dropout = 0.0
    return samples


def _embed(encoder: Encoder, paths: list[Path], modality: str, sampling: Sampling) -> np.ndarray:
    if modality == "image":
        return embed_images(encoder, paths, sampling, seed=5, batch_size=9).embedding
    return embed_texts(encoder, CAPTIONS, sampling, seed=5, batch_size=9).embedding


def assert_same_distribution(ours: np.ndarray, plain: np.ndarray) -> None:
    """Assert that two sets of S samples (S, n, D) have the same means and variances in each coordinate.

    The difference of two means divided by its standard error is approximately normal. The logarithm of the ratio of two
    variances has the standard deviation sqrt(4 / (S - 1)) if samples are approximately normal.
    """
    passes = len(plain)
    variance, expected = ours.var(axis=0, ddof=1), plain.var(axis=0, ddof=1)
    z = (ours.mean(axis=0) - plain.mean(axis=0)) / np.sqrt((variance + expected) / passes + 1e-30)
    ratio = np.log((variance + 1e-30) / expected) / np.sqrt(4 / (passes - 1))
    assert abs(z.mean()) < 0.1
    assert abs(z.std() - 1) < 0.1
    assert np.abs(z).max() < 4.5
    assert abs(ratio.mean()) < 0.2
    assert abs(ratio.std() - 1) < 0.25  # samples are only approximately normal
    assert np.abs(ratio).max() < 6


@pytest.mark.parametrize("modality", ["image", "text"])
def test_means_and_variances_equal_those_of_the_plain_loop(
    encoder: Encoder, paths: list[Path], plain_samples: dict[str, np.ndarray], modality: str
) -> None:
    samples = _embed(encoder, paths, modality, Sampling.dropout(RATE, PASSES))
    assert_same_distribution(samples, plain_samples[modality])
    correlations = np.corrcoef(samples[:, :, 0].T)[np.triu_indices(ITEMS, 1)]  # each item has its own masks
    assert np.abs(correlations).max() < 5 / np.sqrt(PASSES)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_bounds_detect_another_rate_and_a_model_in_eval_mode(
    encoder: Encoder, paths: list[Path], plain_samples: dict[str, np.ndarray], modality: str
) -> None:
    half_rate, close_rate = (_embed(encoder, paths, modality, Sampling.dropout(rate, PASSES)) for rate in (0.1, 0.18))
    eval_mode = np.repeat(_embed(encoder, paths, modality, Sampling()), PASSES, axis=0)
    for wrong_samples in (half_rate, close_rate, eval_mode):
        with pytest.raises(AssertionError):
            assert_same_distribution(wrong_samples, plain_samples[modality])


@pytest.mark.parametrize("change", [lambda samples: samples * 1.03, lambda samples: samples[:, ::-1]])
def test_bounds_detect_small_changes(
    plain_samples: dict[str, np.ndarray], change: Callable[[np.ndarray], np.ndarray]
) -> None:
    first_half, second_half = np.split(plain_samples["image"], 2)
    assert_same_distribution(first_half, second_half)
    with pytest.raises(AssertionError):
        assert_same_distribution(change(first_half), second_half)
