"""MC dropout as it is done here has the distribution of MC dropout as one writes it down.

The plain loop is that of the released code: `resblock.attn.dropout = rate` in both towers, the whole model in train
mode, torch's own dropout, captions padded to the whole context. Random numbers differ, so means and variances are held
to what 200 passes can tell, and the same bounds are shown to catch another rate and a model left in eval mode.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from encoders.conftest import TRAINED
from overtop.datasets.shapes import write_images
from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder, build_model, encoder_of
from overtop.encoders.sampling import Sampling

RATE, PASSES, ITEMS = 0.2, 200, 24
COLOURS, SHAPES = ("red", "green", "blue", "grey"), ("circle", "square", "star")
CAPTIONS = [
    f"a {'large ' * (n % 3)}{colour} {shape}{' above a small yellow triangle' * (n % 2)}"
    for n, (colour, shape) in enumerate((c, s) for c in [*COLOURS, *COLOURS] for s in SHAPES)
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Random weights, large enough that attention differs from token to token and dropping some of it matters."""
    torch.manual_seed(0)
    model = build_model("tiny", TRAINED, None)
    for name, parameter in model.named_parameters():
        if "attn" in name and parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.25)
    return encoder_of("tiny", TRAINED, model, None, "cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_images(tmp_path_factory.mktemp("images"), "test", ITEMS, 48, 0)


@pytest.fixture(scope="module")
def plain(encoder: Encoder, paths: list[Path]) -> dict[str, np.ndarray]:
    """200 passes of the plain loop, by modality."""
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


def _ours(encoder: Encoder, paths: list[Path], modality: str, sampling: Sampling) -> np.ndarray:
    if modality == "image":
        return embed_images(encoder, paths, sampling, seed=5, batch_size=9).embedding
    return embed_texts(encoder, CAPTIONS, sampling, seed=5, batch_size=9).embedding


def check_distribution(ours: np.ndarray, plain: np.ndarray) -> None:
    """Hold two sets of S samples (S, n, D) against each other, coordinate by coordinate.

    The difference of two means over its standard error is near normal, and the log of a ratio of two variances has
    the standard deviation sqrt(4 / (S - 1)) where samples are near normal.
    """
    passes = len(plain)
    variance, expected = ours.var(axis=0, ddof=1), plain.var(axis=0, ddof=1)
    z = (ours.mean(axis=0) - plain.mean(axis=0)) / np.sqrt((variance + expected) / passes + 1e-30)
    ratio = np.log((variance + 1e-30) / expected) / np.sqrt(4 / (passes - 1))
    assert abs(z.mean()) < 0.1
    assert abs(z.std() - 1) < 0.1
    assert np.abs(z).max() < 4.5
    assert abs(ratio.mean()) < 0.2
    assert abs(ratio.std() - 1) < 0.25  # samples are only near normal
    assert np.abs(ratio).max() < 6


@pytest.mark.parametrize("modality", ["image", "text"])
def test_means_and_variances_agree(
    encoder: Encoder, paths: list[Path], plain: dict[str, np.ndarray], modality: str
) -> None:
    found = _ours(encoder, paths, modality, Sampling.dropout(RATE, PASSES))
    check_distribution(found, plain[modality])
    items = np.corrcoef(found[:, :, 0].T)[np.triu_indices(ITEMS, 1)]  # each item has masks of its own
    assert np.abs(items).max() < 5 / np.sqrt(PASSES)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_another_rate_or_a_model_in_eval_mode_would_be_caught(
    encoder: Encoder, paths: list[Path], plain: dict[str, np.ndarray], modality: str
) -> None:
    halved, near = (_ours(encoder, paths, modality, Sampling.dropout(rate, PASSES)) for rate in (0.1, 0.18))
    still = np.repeat(_ours(encoder, paths, modality, Sampling()), PASSES, axis=0)
    for wrong in (halved, near, still):
        with pytest.raises(AssertionError):
            check_distribution(wrong, plain[modality])


@pytest.mark.parametrize("change", [lambda plain: plain * 1.03, lambda plain: plain[:, ::-1]])
def test_the_bounds_are_narrow(plain: dict[str, np.ndarray], change: Callable[[np.ndarray], np.ndarray]) -> None:
    half = PASSES // 2
    check_distribution(plain["image"][:half], plain["image"][half:])
    with pytest.raises(AssertionError):
        check_distribution(change(plain["image"][:half]), plain["image"][half:])
