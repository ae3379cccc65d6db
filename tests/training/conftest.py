"""Labelled images of four colours, a random encoder to fine-tune on them, and a run that does so."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.encoder_inputs import SHAPES_SPEC
from overtop.config.finetuning import FinetuneSpec
from overtop.encoders.loading import build_model
from overtop.storage.split import Split, split_from_labels
from overtop.training.checkpoint import save_checkpoint
from overtop.training.finetune_run import FinetuneRun

COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220), "yellow": (220, 220, 30)}


@dataclass(frozen=True)
class ColourImages:
    """A data folder with images, a split for training and one for validation, and a checkpoint of random weights."""

    data: Path
    train: Split
    validation: Split
    checkpoint: Path


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> ColourImages:
    data = tmp_path_factory.mktemp("colours")
    torch.manual_seed(0)
    save_checkpoint(build_model("base", SHAPES_SPEC, None), data / "base.safetensors")
    splits = (_write_split(data, name, count) for name, count in (("train", 20), ("val", 12)))
    return ColourImages(data, *splits, data / "base.safetensors")


def _write_split(data: Path, name: str, count: int) -> Split:
    rng = np.random.default_rng(count)
    paths, classes = [f"{name}-{i}.png" for i in range(count)], [[i % len(COLOURS)] for i in range(count)]
    for path, [number] in zip(paths, classes, strict=True):
        tint = (np.array(list(COLOURS.values())[number]) - 128) * 0.3
        pixels = np.clip(rng.normal(128, 40, (48, 48, 3)) + tint, 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(data / path)
    return split_from_labels(paths, paths, classes, list(COLOURS), ["a photo of a {c}.", "{c}"])


@pytest.fixture
def make_run(colours: ColourImages, tmp_path: Path) -> Callable[..., FinetuneRun]:
    """A function that makes a run with changed settings, which writes into the test's folder."""

    def make(name: str = "tuned", seed: int = 0, **settings: Any) -> FinetuneRun:
        values = {"from": "base", "dataset": "colours", "objective": {"kind": "tecoa"}, "epochs": 2, "batch_size": 8}
        spec = FinetuneSpec.model_validate(values | {"learning_rate": 0.01} | settings)
        output, log = tmp_path / f"{name}.safetensors", tmp_path / f"{name}.csv"
        splits = colours.train, colours.validation
        return FinetuneRun(name, spec, SHAPES_SPEC, colours.checkpoint, *splits, output, log, seed, colours.data)

    return make
