"""Monte Carlo dropout on attention, and on nothing else (Gal and Ghahramani, 2016; paper Eq. 3).

`nn.MultiheadAttention` holds its dropout as a number, not as an `nn.Dropout`, so tools that look for dropout modules
do nothing on CLIP. Here every kind of attention that open_clip's towers are made of is found by type.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from overtop.encoders import attention
from overtop.encoders.compat import open_clip
from overtop.encoders.patching import replace
from overtop.errors import OvertopError

NONE = "none"
"""Said of a tower that has nothing to drop, so that all its passes are alike."""


@contextmanager
def attention_dropout(model: Any, rate: float) -> Iterator[dict[str, str]]:
    """Switch on dropout of the attention probabilities at `rate` in both towers while the context lasts.

    Everything else stays in eval mode. An image tower without attention (a convolutional one) drops the input of its
    head instead, and the record says so.

    Args:
        model: an open_clip model in eval mode; it is left as it was.
        rate: probability of a dropped entry, in (0, 1).

    Yields:
        What was switched on, by modality (`image`, `text`), in words: `attention dropout in 12 layers`,
        `head dropout` or `none`.

    Raises:
        OvertopError: neither tower has anything to switch on.
    """
    with ExitStack() as stack:
        record = {
            modality: _drop_attention(tower, rate, stack) or _drop_head(tower, rate, stack) or NONE
            for modality, tower in _towers(model).items()
        }
        if set(record.values()) == {NONE}:
            raise OvertopError(
                "MC dropout: neither tower of this encoder has attention or a head to drop; "
                "use a deterministic posterior or an ensemble"
            )
        yield record


def _towers(model: Any) -> dict[str, nn.Module]:
    """The two towers; open_clip keeps the text tower either as `text` or spread over the model itself."""
    return {"image": model.visual, "text": model.text if hasattr(model, "text") else model.transformer}


def _drop_attention(tower: nn.Module, rate: float, stack: ExitStack) -> str | None:
    layers = 0
    for module in tower.modules():
        if isinstance(module, nn.MultiheadAttention):  # open_clip's towers
            replace(module, "dropout", rate, stack)
            replace(module, "forward", partial(attention.forward, module), stack)
        elif isinstance(dropout := getattr(module, "attn_drop", None), nn.Dropout):  # open_clip's variants, timm
            _switch_on(dropout, rate, stack)
        elif _is_hugging_face_attention(module):
            if isinstance(module.dropout, nn.Dropout):
                _switch_on(module.dropout, rate, stack)
            else:
                replace(module, "dropout", rate, stack)
        else:
            continue
        # Fused kernels look at the attention's own flag. Setting the flag alone, instead of calling `train()`,
        # leaves the dropout of the projections below it in eval mode.
        replace(module, "training", True, stack)
        layers += 1
    if layers and isinstance(tower, open_clip.transformer.VisionTransformer):
        _once_per_input(tower.conv1, stack)
    return f"attention dropout in {layers} layer{'s' if layers > 1 else ''}" if layers else None


def _is_hugging_face_attention(module: nn.Module) -> bool:
    """An attention proper owns a key projection; the blocks around it own a dropout, too, but of hidden states."""
    return hasattr(module, "dropout") and any(hasattr(module, name) for name in ("key", "k_proj", "k"))


def _drop_head(tower: Any, rate: float, stack: ExitStack) -> str | None:
    dropouts = [module for module in getattr(tower, "head", nn.Module()).modules() if isinstance(module, nn.Dropout)]
    for dropout in dropouts:
        _switch_on(dropout, rate, stack)
    if dropouts and hasattr(tower, "trunk"):
        _once_per_input(tower.trunk, stack)
    return "head dropout" if dropouts else None


def _once_per_input(module: nn.Module, stack: ExitStack) -> None:
    """What stands before the dropout is the same in every pass over a batch: compute it in the first alone."""
    forward = module.forward
    last: dict[str, torch.Tensor] = {}

    def remembered(batch: torch.Tensor) -> torch.Tensor:
        if last.get("input") is not batch:
            last.update(input=batch, output=forward(batch))
        return last["output"]

    replace(module, "forward", remembered, stack)


def _switch_on(dropout: nn.Dropout, rate: float, stack: ExitStack) -> None:
    replace(dropout, "p", rate, stack)
    replace(dropout, "training", True, stack)
