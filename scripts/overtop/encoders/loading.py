"""Encoders built from their entry in config.yaml, with the provenance of what was built."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from overtop.config.encoders import EncoderSpec
from overtop.encoders import lite
from overtop.encoders.catalogue import check_encoder, native_activation
from overtop.encoders.compat import open_clip
from overtop.encoders.weights import check_tensors, locate_weights
from overtop.errors import OvertopError
from overtop.storage.files import sha256
from overtop.terms import Modality

_RECORDED_LIBRARIES = ("torch", "torchvision", "open_clip_torch", "timm", "pillow")


@dataclass
class Encoder:
    """A loaded encoder, in eval mode.

    Attributes:
        name: its name in config.yaml.
        model: the open_clip model (`encode_image`, `encode_text`).
        preprocess: the transform that the weights were trained with, PIL image -> float32 tensor (3, H, W).
        tokenizer: open_clip's tokenizer of the architecture.
        device: the device of the model.
        widths: D of each modality's embeddings; they differ only for an encoder without its heads.
        provenance: JSON-able facts that determine the embeddings.
    """

    name: str
    model: Any
    preprocess: Callable[[Image.Image], torch.Tensor]
    tokenizer: Any
    device: torch.device
    widths: dict[Modality, int]
    provenance: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """Name and provenance, as they are in the provenance of the embeddings."""
        return {"name": self.name, **self.provenance}

    @property
    def context_length(self) -> int:
        """Maximum number of tokens of a caption, including the start and end tokens."""
        return int(self.tokenizer.context_length)

    def tokenize(self, captions: list[str]) -> tuple[torch.Tensor, int]:
        """Token ids (M, context), and the number of captions that were too long and lost their end."""
        distinct = list(dict.fromkeys(captions))  # tokenizers are slow, and many captions are equal
        tokens = self.tokenizer(distinct)
        # Exactly the truncated captions use a further token when the context has room for it.
        longer_tokens = self.tokenizer(distinct, context_length=self.context_length + 1)
        padding = getattr(getattr(self.tokenizer, "tokenizer", None), "pad_token_id", None) or 0
        is_truncated = (longer_tokens != padding).sum(dim=1) > (tokens != padding).sum(dim=1)
        row_of_caption = {caption: i for i, caption in enumerate(distinct)}
        rows = [row_of_caption[caption] for caption in captions]
        return tokens[rows], int(is_truncated[rows].sum())


def load_encoder(
    name: str,
    spec: EncoderSpec,
    checkpoint: str | Path | None = None,
    device: str | torch.device = "cpu",
    *,
    data: str | Path = "data",
) -> Encoder:
    """Build an encoder with its weights, its native activation and its own preprocessing.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        checkpoint: output of the rule `train` or `weights`, or a file or folder with the weights. By default the
            weights are those of `spec.checkpoint`, or else those of `spec.tag`, from open_clip's cache or the hub.
        device: the device of the model.
        data: the data folder, which paths in records of downloaded weights are relative to.

    Raises:
        OvertopError: the architecture or tag is unknown, or the weights are missing or do not fit.

    >>> encoder = load_encoder("b32", EncoderSpec(architecture="ViT-B-32", tag="openai"))  # doctest: +SKIP
    """
    location = checkpoint or spec.checkpoint
    if location is not None:
        path, preprocessing = locate_weights(name, location, data, is_trained_here=spec.is_trained_here)
        return assemble_encoder(name, spec, build_model(name, spec, str(path), preprocessing), path, device)
    if spec.tag is None:
        raise OvertopError(f"encoder {name!r}: it has no weights yet; train it first, or set `tag` or `checkpoint`")
    return assemble_encoder(name, spec, build_model(name, spec, spec.tag), None, device)


def assemble_encoder(
    name: str, spec: EncoderSpec, model: Any, checkpoint: str | Path | None, device: str | torch.device
) -> Encoder:
    """Combine a built model with its tokenizer, preprocessing and provenance.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        model: what `build_model` returned.
        checkpoint: the file with the model's weights, None if there is none.
        device: the device of the encoder.
    """
    preprocessing = dict(model.visual.preprocess_cfg)
    width = open_clip.get_model_config(spec.architecture)["embed_dim"]
    model.visual.to(memory_format=torch.channels_last)  # several times faster for convolutional towers on a CPU
    return Encoder(
        name=name,
        model=model.to(device).eval(),
        preprocess=open_clip.transform.image_transform_v2(
            open_clip.transform.PreprocessCfg(**preprocessing), is_train=False
        ),
        tokenizer=lite.build_tokenizer(spec.architecture) or open_clip.get_tokenizer(spec.architecture),
        device=torch.device(device),
        widths={"image": width, "text": width},
        provenance={
            "architecture": spec.architecture,
            "tag": spec.tag,
            "checkpoint_sha256": sha256(checkpoint) if checkpoint is not None else weights_digest(model),
            "activation": "quickgelu" if _has_quick_gelu(model) else "gelu",
            "logit_scale": float(model.logit_scale.detach().exp()),
            "preprocessing": hashlib.sha256(json.dumps(preprocessing, sort_keys=True).encode()).hexdigest()[:16],
            "versions": {library: version(library) for library in _RECORDED_LIBRARIES},
        },
    )


def build_model(
    name: str, spec: EncoderSpec, pretrained: str | None, preprocessing: Mapping[str, Any] | None = None
) -> Any:
    """The open_clip model of an encoder, on the CPU.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        pretrained: a tag, a file with weights, or None for random weights from torch's global generator.
        preprocessing: preprocessing options that came with the file, for weights without a tag.

    Raises:
        OvertopError: the architecture or tag is unknown, or the weights could not be downloaded or do not fit.
    """
    check_encoder(name, spec)
    options = lite.model_options(spec.architecture)
    tag_config = open_clip.get_pretrained_cfg(spec.architecture, spec.tag) if spec.tag else {}
    if pretrained != spec.tag and (tag_config or preprocessing):  # open_clip does not know the file's preprocessing
        options.setdefault("force_preprocess_cfg", {**tag_config, **(preprocessing or {})})
    activation = native_activation(spec) if spec.activation == "own" else spec.activation
    if activation == "gelu":
        options["quick_gelu"] = False
    try:
        if pretrained is not None and pretrained.endswith(".safetensors"):
            check_tensors(Path(pretrained))
        with _silence_warnings():
            model = open_clip.create_model(
                spec.architecture, pretrained, precision="fp32", force_quick_gelu=activation == "quickgelu", **options
            )
    except OvertopError:
        raise
    except Exception as error:  # every file format raises its own errors
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise OvertopError(
            f"encoder {name!r}: weights {pretrained} cannot be loaded into {spec.architecture} ({first_line}); "
            "a tag needs the network or a filled cache, a file must contain this architecture's weights"
        ) from error
    damaged = next((key for key, value in model.state_dict().items() if not torch.isfinite(value).all()), None)
    if damaged is not None:
        raise OvertopError(f"encoder {name!r}: {pretrained} has weights {damaged!r} that are not finite; get it again")
    return model


def weights_digest(model: Any) -> str:
    """Hex sha256 of all weights and their names, in the order of the names."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _has_quick_gelu(model: torch.nn.Module) -> bool:
    return any(isinstance(module, open_clip.transformer.QuickGELU) for module in model.modules())


@contextmanager
def _silence_warnings() -> Iterator[None]:
    """Disable logging up to warnings: open_clip warns about every model without pretrained weights."""
    previous_level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous_level)
