"""Checks of an encoder's configuration against the architectures and pretrained tags of open_clip."""

from pathlib import Path
from typing import Literal

from overtop.config.encoders import EncoderSpec
from overtop.encoders.compat import open_clip
from overtop.errors import OvertopError, did_you_mean

OWN_MODELS = Path(__file__).parent / "models"
"""Folder with the architectures of this project, in open_clip's format."""

open_clip.add_model_config(OWN_MODELS)


def check_encoder(name: str, spec: EncoderSpec) -> None:
    """Raise an error unless open_clip can build an encoder.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.

    Raises:
        OvertopError: the architecture or the tag does not exist; the message suggests the most similar name.
    """
    architectures = open_clip.list_models()
    if spec.architecture not in architectures:
        raise OvertopError(
            f"encoders.{name}.architecture: open_clip has no {spec.architecture!r}; "
            f"{did_you_mean(spec.architecture, architectures)}"
        )
    if spec.tag is None:
        return
    tags = open_clip.list_pretrained_tags_by_model(spec.architecture)
    if spec.tag not in tags:
        fix = did_you_mean(spec.tag, tags) if tags else "it has no tags; give a checkpoint file, or train it"
        raise OvertopError(f"encoders.{name}.tag: {spec.architecture} has no weights {spec.tag!r}; {fix}")


def native_activation(spec: EncoderSpec) -> Literal["gelu", "quickgelu"]:
    """The activation that an encoder's weights were trained with: that of its tag, or else of its architecture.

    Args:
        spec: an encoder that passed `check_encoder`.
    """
    if spec.tag is not None:
        config = open_clip.get_pretrained_cfg(spec.architecture, spec.tag)
    else:
        config = open_clip.get_model_config(spec.architecture)
    return "quickgelu" if config.get("quick_gelu", False) else "gelu"


def has_mismatched_activation(spec: EncoderSpec) -> bool:
    """Whether an encoder is configured with another activation than its weights were trained with.

    The paper's released code has this mismatch: it builds the tags openai, metaclip and dfn2b as `ViT-L-14`, with
    `gelu`, and open_clip only warns.

    Args:
        spec: an encoder that passed `check_encoder`.
    """
    return spec.activation not in ("own", native_activation(spec))
