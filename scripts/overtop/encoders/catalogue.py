"""What open_clip can build, told without importing it (which takes seconds and needs torch)."""

import importlib
import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from overtop.config.encoders import EncoderSpec
from overtop.errors import OvertopError, suggestion

OWN_MODELS = Path(__file__).parent / "models"
"""Architectures of this project, in open_clip's format."""


@cache
def _pretrained() -> ModuleType:
    """open_clip's table of pretrained tags: its one module, run under a package of its own name."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.submodule_search_locations is None:
        raise OvertopError("open_clip is not installed; pip install open_clip_torch")
    package = ModuleType("_overtop_open_clip")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[package.__name__] = package
    # The table's module can do without safetensors.torch, and that alone would import torch.
    hide = "safetensors.torch" not in sys.modules
    if hide:
        sys.modules["safetensors.torch"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(f"{package.__name__}.pretrained")
    finally:
        if hide:
            del sys.modules["safetensors.torch"]


def architectures() -> list[str]:
    """Names of all architectures, open_clip's and ours."""
    return sorted(path.stem for folder in _folders() for path in folder.glob("*.json"))


def _folders() -> list[Path]:
    spec = importlib.util.find_spec("open_clip")
    places = (spec and spec.submodule_search_locations) or []
    return [*(Path(place) / "model_configs" for place in places), OWN_MODELS]


def _model_config(architecture: str) -> dict[str, Any]:
    paths = (folder / f"{architecture}.json" for folder in _folders())
    return dict(json.loads(next(path for path in paths if path.is_file()).read_text()))


def tags(architecture: str) -> list[str]:
    """Names of all pretrained weights of an architecture."""
    return list(_pretrained().list_pretrained_tags_by_model(architecture))


def tag_facts(architecture: str, tag: str) -> dict[str, Any]:
    """What open_clip knows of pretrained weights: preprocessing (mean, std, ...), `quick_gelu`, where they lie."""
    return dict(_pretrained().get_pretrained_cfg(architecture, tag))


def own_activation(spec: EncoderSpec) -> Literal["gelu", "quickgelu"]:
    """What the weights were trained with: the tag says it, else the architecture.

    The released code builds openai, metaclip and dfn2b as `ViT-L-14`, and so with the wrong one: open_clip only warns.
    """
    if spec.tag is not None:
        quick = tag_facts(spec.architecture, spec.tag).get("quick_gelu", False)
    else:
        quick = _model_config(spec.architecture).get("quick_gelu", False)
    return "quickgelu" if quick else "gelu"


def contradicts_its_weights(spec: EncoderSpec) -> bool:
    """Whether an encoder is declared with another activation than its weights were trained with."""
    return spec.activation not in ("own", own_activation(spec))


def check_encoder(name: str, spec: EncoderSpec) -> None:
    """Refuse an encoder that open_clip cannot build.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.

    Raises:
        OvertopError: the architecture or tag does not exist; the message names the closest one.
    """
    known = architectures()
    if spec.architecture not in known:
        raise OvertopError(
            f"encoders.{name}.architecture: open_clip has no {spec.architecture!r}; "
            f"{suggestion(spec.architecture, known)}"
        )
    if spec.tag is not None:
        known = tags(spec.architecture)
        if spec.tag not in known:
            mend = suggestion(spec.tag, known) if known else "there are none; give a checkpoint file, or train it"
            raise OvertopError(f"encoders.{name}.tag: {spec.architecture} has no weights {spec.tag!r}; {mend}")
