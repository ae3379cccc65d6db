"""The readers of images and weights, which import torch, with valid inputs."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from helpers.encoder_inputs import SHAPES_SPEC
from helpers.reader_inputs import Reader
from overtop.encoders.decoding import read_image
from overtop.encoders.loading import build_model
from overtop.encoders.weights import WeightsRecord, locate_weights, write_weights_record
from overtop.storage.files import sha256
from overtop.training.checkpoint import save_checkpoint

WEIGHTS, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"


def image_readers() -> dict[str, Reader]:
    """Return the readers of the formats of images by name."""
    gradient = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
    colours = np.stack([gradient % 256, gradient // 3 % 256, gradient[::-1] % 256], axis=2).astype(np.uint8)
    readers = {f"image: {kind}": _image_reader(colours, kind) for kind in ("jpeg", "png", "webp", "bmp", "gif", "tiff")}
    return {**readers, "image: png of 16 bits": _image_reader(gradient * 80, "png")}


def _image_reader(pixels: np.ndarray, kind: str) -> Reader:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format=kind)

    def read(source: Path, _: Path) -> Any:
        return read_image(source / "a.jpg", lambda image: image.convert("RGB").tobytes())

    return Reader({"a.jpg": content.getvalue()}, read)


def weight_readers(scratch: Path) -> dict[str, Reader]:
    """Return the readers of weights, and of what comes with them, by name.

    Args:
        scratch: an empty folder.
    """
    small = save({"a": torch.ones(3)})
    config = json.dumps({"preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1], "size": 48}}).encode()
    (scratch / WEIGHTS).write_bytes(small)
    record = WeightsRecord(file=WEIGHTS, sha256=sha256(scratch / WEIGHTS), bytes=len(small), config=CONFIG)
    write_weights_record(scratch / "record.json", record)
    files = {WEIGHTS: small, CONFIG: config, "record.json": (scratch / "record.json").read_bytes()}
    torch.manual_seed(0)
    model = build_model("x", SHAPES_SPEC, None)
    save_checkpoint(model, scratch / "w.safetensors")

    def load(source: Path, _: Path) -> Any:
        path, preprocessing = locate_weights("x", source / "w.safetensors", source)
        return len(build_model("x", SHAPES_SPEC, str(path), preprocessing).state_dict())

    return {
        "weights: record": Reader(
            files,
            lambda source, _: locate_weights("x", source / "record.json", source)[1],
            True,
            ("record.json", WEIGHTS),
        ),
        "weights: config": Reader(
            {WEIGHTS: small, CONFIG: config},
            lambda source, _: locate_weights("x", source, source)[1],
            damaged=(CONFIG,),
        ),
        "weights: trained here": Reader(
            {"w.safetensors": (scratch / "w.safetensors").read_bytes()}, load, verified=True
        ),
        "weights: safetensors": Reader({"w.safetensors": save(model.state_dict())}, load),
    }
