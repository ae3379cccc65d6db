"""Monte Carlo dropout on attention probabilities alone (Gal and Ghahramani, 2016; paper Eq. 3).

`nn.MultiheadAttention` stores its dropout as a number, not as an `nn.Dropout`, so enabling all dropout modules has no
effect on CLIP. This module recognises every kind of attention in open_clip's towers by its type.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from overtop.encoders import attention
from overtop.encoders.compat import open_clip
from overtop.encoders.patching import patch_attribute
from overtop.errors import OvertopError
from overtop.terms import Modality

NO_DROPOUT = "none"
"""Description of a tower without any dropout: all its passes are equal."""


@contextmanager
def attention_dropout(model: Any, rate: float) -> Iterator[dict[Modality, str]]:
    """Enable dropout of the attention probabilities in both towers inside the context.

    Everything else stays in eval mode. In an image tower without attention (a convolutional one) dropout is enabled on
    the input of its head instead. On exit the model is unchanged.

    Args:
        model: an open_clip model in eval mode.
        rate: probability that an entry is dropped, in (0, 1).

    Yields:
        What was enabled in each tower, in words: `attention dropout in 12 layers`, `head dropout` or `none`.

    Raises:
        OvertopError: neither tower has dropout to enable.
    """
    towers = _towers(model)
    with ExitStack() as stack:
        descriptions = {modality: _enable_dropout(tower, rate, stack) for modality, tower in towers.items()}
        if set(descriptions.values()) == {NO_DROPOUT}:
            raise OvertopError(
                "MC dropout: neither tower of this encoder has attention or a head with dropout; "
                "use a deterministic posterior or an ensemble"
            )
        yield descriptions


def _towers(model: Any) -> dict[Modality, nn.Module]:
    """The two towers; open_clip keeps the text tower as `text`, or spreads it over the model itself."""
    return {"image": model.visual, "text": model.text if hasattr(model, "text") else model.transformer}


def _enable_dropout(tower: nn.Module, rate: float, stack: ExitStack) -> str:
    return _enable_attention_dropout(tower, rate, stack) or _enable_head_dropout(tower, rate, stack) or NO_DROPOUT


def _enable_attention_dropout(tower: nn.Module, rate: float, stack: ExitStack) -> str | None:
    """Enable dropout in every attention layer; None if the tower has none, else a description."""
    layers = 0
    for module in tower.modules():
        if isinstance(module, nn.MultiheadAttention):  # open_clip's towers
            patch_attribute(module, "dropout", rate, stack)
            patch_attribute(module, "forward", partial(attention.forward, module), stack)
        elif isinstance(dropout := getattr(module, "attn_drop", None), nn.Dropout):  # open_clip's variants, timm
            _enable_dropout_module(dropout, rate, stack)
        elif _is_hugging_face_attention(module):
            if isinstance(module.dropout, nn.Dropout):
                _enable_dropout_module(module.dropout, rate, stack)
            else:
                patch_attribute(module, "dropout", rate, stack)
        else:
            continue
        # Fused kernels read the flag of the attention module. `train()` would also reach the projections inside it.
        patch_attribute(module, "training", True, stack)
        layers += 1
    if layers and isinstance(tower, open_clip.transformer.VisionTransformer):
        _cache_last_output(tower.conv1, stack)
    return f"attention dropout in {layers} layer{'s' if layers > 1 else ''}" if layers else None


def _is_hugging_face_attention(module: nn.Module) -> bool:
    """Whether a module is an attention layer: those have a key projection, other modules with a dropout do not."""
    return hasattr(module, "dropout") and any(hasattr(module, name) for name in ("key", "k_proj", "k"))


def _enable_head_dropout(tower: Any, rate: float, stack: ExitStack) -> str | None:
    """Enable the dropout modules of the head; None if it has none, else a description."""
    dropouts = [module for module in getattr(tower, "head", nn.Module()).modules() if isinstance(module, nn.Dropout)]
    for dropout in dropouts:
        _enable_dropout_module(dropout, rate, stack)
    if dropouts and hasattr(tower, "trunk"):
        _cache_last_output(tower.trunk, stack)
    return "head dropout" if dropouts else None


def _cache_last_output(module: nn.Module, stack: ExitStack) -> None:
    """Let a module without dropout compute its output once per batch, in the first pass."""
    forward = module.forward
    last: dict[str, torch.Tensor] = {}

    def cached_forward(batch: torch.Tensor) -> torch.Tensor:
        if last.get("input") is not batch:
            last.update(input=batch, output=forward(batch))
        return last["output"]

    patch_attribute(module, "forward", cached_forward, stack)


def _enable_dropout_module(dropout: nn.Dropout, rate: float, stack: ExitStack) -> None:
    patch_attribute(dropout, "p", rate, stack)
    patch_attribute(dropout, "training", True, stack)
