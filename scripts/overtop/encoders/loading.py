"""Building an encoder from its entry in config.yaml, and saying exactly what was built."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from overtop.config.encoders import EncoderSpec
from overtop.encoders import lite
from overtop.encoders.catalogue import OWN_MODELS, check_encoder, own_activation, tag_facts
from overtop.encoders.compat import open_clip
from overtop.encoders.weights import locate
from overtop.errors import OvertopError
from overtop.storage.files import sha256

open_clip.add_model_config(OWN_MODELS)

_LIBRARIES = ("torch", "torchvision", "open_clip_torch", "timm", "pillow")


@dataclass
class Encoder:
    """A loaded encoder, in eval mode.

    Attributes:
        name: its name in config.yaml.
        model: the open_clip model (`encode_image`, `encode_text`).
        preprocess: PIL image -> float32 tensor (3, H, W), the transform the weights were trained with.
        tokenizer: open_clip's tokenizer of the architecture.
        device: where the model lies.
        widths: D of each modality's embeddings (`image`, `text`); they differ only before the heads.
        provenance: JSON-able facts that decide what the embeddings are.
    """

    name: str
    model: Any
    preprocess: Callable[[Image.Image], torch.Tensor]
    tokenizer: Any
    device: torch.device
    widths: dict[str, int]
    provenance: dict[str, Any]

    @property
    def context_length(self) -> int:
        """How many tokens of a caption the text tower sees, start and end included."""
        return int(self.tokenizer.context_length)

    def tokenize(self, captions: list[str]) -> tuple[torch.Tensor, int]:
        """Token ids (n, context), and how many captions were too long and lost their end."""
        different = list(dict.fromkeys(captions))  # tokenizers are slow, and vague captions alike
        tokens = self.tokenizer(different)
        # Given room for one more token, exactly the captions that were cut use it.
        roomier = self.tokenizer(different, context_length=self.context_length + 1)
        padding = getattr(getattr(self.tokenizer, "tokenizer", None), "pad_token_id", None) or 0
        cut = (roomier != padding).sum(dim=1) > (tokens != padding).sum(dim=1)
        number = {caption: i for i, caption in enumerate(different)}
        rows = [number[caption] for caption in captions]
        return tokens[rows], int(cut[rows].sum())


def load_encoder(
    name: str, spec: EncoderSpec, checkpoint: str | Path | None = None, device: str | torch.device = "cpu"
) -> Encoder:
    """Build an encoder with its weights, its own activation and its own preprocessing.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        checkpoint: what `train` or `weights` wrote, or a file or folder with the weights. Without it those of
            `spec.checkpoint`, else those of `spec.tag` from open_clip's cache or the hub.
        device: where to put the model.

    Raises:
        OvertopError: an unknown architecture or tag, or weights that are missing or do not fit.
    """
    place = checkpoint or spec.checkpoint
    if place is not None:
        path, preprocessing = locate(name, place)
        return encoder_of(name, spec, build_model(name, spec, str(path), preprocessing), path, device)
    if spec.tag is None:
        raise OvertopError(f"encoder {name!r}: there are no weights yet; train it first, or give `tag` or `checkpoint`")
    return encoder_of(name, spec, build_model(name, spec, spec.tag), None, device)


def encoder_of(
    name: str, spec: EncoderSpec, model: Any, checkpoint: str | Path | None, device: str | torch.device
) -> Encoder:
    """Join a built model with its tokenizer, its preprocessing and its provenance; for arguments see `load_encoder`."""
    facts = dict(model.visual.preprocess_cfg)
    width = open_clip.get_model_config(spec.architecture)["embed_dim"]
    model.visual.to(memory_format=torch.channels_last)  # several times faster for convolutional towers on a CPU
    return Encoder(
        name=name,
        model=model.to(device).eval(),
        preprocess=open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(**facts), is_train=False),
        tokenizer=lite.tokenizer(spec.architecture) or open_clip.get_tokenizer(spec.architecture),
        device=torch.device(device),
        widths={"image": width, "text": width},
        provenance={
            "architecture": spec.architecture,
            "tag": spec.tag,
            "checkpoint_sha256": sha256(checkpoint) if checkpoint is not None else weights_digest(model),
            "activation": "quickgelu" if _has_quick_gelu(model) else "gelu",
            "preprocessing": hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16],
            "versions": {library: version(library) for library in _LIBRARIES},
        },
    )


def build_model(
    name: str, spec: EncoderSpec, pretrained: str | None, preprocessing: Mapping[str, Any] | None = None
) -> Any:
    """The open_clip model of an encoder, on the CPU.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        pretrained: a tag, a file with weights, or None for random weights (torch's generator decides).
        preprocessing: what came with the file, where open_clip does not know it.

    Raises:
        OvertopError: an unknown architecture or tag, or weights that cannot be had or do not fit.
    """
    check_encoder(name, spec)
    options: dict[str, Any] = lite.options(spec.architecture)
    known = tag_facts(spec.architecture, spec.tag) if spec.tag else {}
    if pretrained != spec.tag and (known or preprocessing):  # open_clip sees a file, and not what belongs to it
        options.setdefault("force_preprocess_cfg", {**known, **(preprocessing or {})})
    quick_gelu = (own_activation(spec) if spec.activation == "own" else spec.activation) == "quickgelu"
    try:
        with _quiet():
            return open_clip.create_model(
                spec.architecture, pretrained, precision="fp32", force_quick_gelu=quick_gelu,
                **({} if quick_gelu else {"quick_gelu": False}), **options
            )  # fmt: skip
    except OvertopError:
        raise
    except Exception as error:  # whatever a damaged or foreign file raises, in the words of its format
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise OvertopError(
            f"encoder {name!r}: weights {pretrained} cannot be loaded into {spec.architecture} ({first_line}); "
            "a tag needs the network or a filled cache, a file must hold this architecture's weights"
        ) from error


def weights_digest(model: Any) -> str:
    """Sha256 over all weights by name: what a checkpoint's digest would be if there were a file."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _has_quick_gelu(model: torch.nn.Module) -> bool:
    return any(isinstance(module, open_clip.transformer.QuickGELU) for module in model.modules())


class _quiet:
    """Silences open_clip's notes on stderr while it builds (it warns of every model without weights)."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
