"""Work of open_clip's own towers that changes nothing in what comes out, left out.

A caption is pooled at its end token and attention is causal, so what stands behind the end token need not be computed.
Of what the last layer makes of its tokens only one is ever read: the class token, or the end token.
Towers of another make are run as they are.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from overtop.encoders.attention import attend
from overtop.encoders.compat import open_clip
from overtop.encoders.patching import replace


def token_counts(model: Any, tokens: torch.Tensor) -> np.ndarray | None:
    """How many tokens of each caption (M, context) matter; None where all do.

    Those of Hugging Face's towers that are no padding, and those of CLIP's own up to the end token.
    """
    text = getattr(model, "text", None)
    if isinstance(text, open_clip.hf_model.HFTextEncoder):
        return (tokens != text.config.pad_token_id).sum(dim=1).numpy()
    if _causal(model) is None:
        return None
    return _ends(model, tokens).numpy() + 1


@contextmanager
def shortened(model: Any, context: int) -> Iterator[None]:
    """Let `model.encode_text` take captions that are cut to `context` tokens."""
    tower = _causal(model)
    with ExitStack() as stack:
        if tower is not None and context < len(tower.attn_mask):
            position = nn.Parameter(tower.positional_embedding[:context].detach(), requires_grad=False)
            replace(tower, "positional_embedding", position, stack)
            replace(tower, "attn_mask", tower.attn_mask[:context, :context], stack)
        yield


def encode_image(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """`model.encode_image`."""
    with ExitStack() as stack:
        tower = model.visual
        if isinstance(tower, open_clip.transformer.VisionTransformer) and _pools_class_token(tower):
            _read_only(tower, torch.zeros(len(pixels), dtype=torch.long, device=pixels.device), stack)
        return model.encode_image(pixels)


def encode_text(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """`model.encode_text`."""
    with ExitStack() as stack:
        tower = _causal(model)
        if tower is not None:
            _read_only(tower, _ends(model, tokens), stack)
        return model.encode_text(tokens)


def _pools_class_token(tower: Any) -> bool:
    return tower.attn_pool is None and tower.pool_type == "tok" and not tower.output_tokens


def _causal(model: Any) -> Any | None:
    """What holds CLIP's text tower, where no token sees those behind it and the end token is pooled."""
    tower = model if isinstance(model, open_clip.model.CLIP) else getattr(model, "text", None)
    if not isinstance(tower, open_clip.model.CLIP | open_clip.transformer.TextTransformer):
        return None
    special = getattr(tower, "cls_emb", None) is not None or getattr(tower, "output_tokens", False)
    return None if special or tower.attn_mask is None or _pooling(tower) not in ("argmax", "eos") else tower


def _pooling(tower: Any) -> str:
    return str(tower.text_pool_type if isinstance(tower, open_clip.model.CLIP) else tower.pool_type)


def _ends(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """The position of each caption's pooled token, as open_clip finds it."""
    tower = _causal(model)
    if _pooling(tower) == "argmax":
        return tokens.argmax(dim=-1)
    end = tower.text_eos_id if isinstance(tower, open_clip.model.CLIP) else tower.eos_id  # type: ignore[union-attr]
    return (tokens == end).int().argmax(dim=-1)


def _read_only(tower: Any, rows: torch.Tensor, stack: ExitStack) -> None:
    """Let the last block compute one token of each item; the others come out as zeros."""
    transformer = tower.transformer
    block = transformer.resblocks[-1]
    if isinstance(block, open_clip.transformer.ResidualAttentionBlock) and transformer.batch_first:
        replace(block, "forward", _one_token(block, rows), stack)


def _one_token(block: Any, rows: torch.Tensor) -> Callable[..., torch.Tensor]:
    def forward(x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        items = torch.arange(len(x), device=x.device)
        seen = block.ln_1(x)
        mask = None if attn_mask is None else attn_mask[rows][:, None, None]
        one = x[items, rows][:, None]
        one = one + block.ls_1(attend(block.attn, seen[items, rows][:, None], seen, mask))
        one = one + block.ls_2(block.mlp(block.ln_2(one)))
        result = one.new_zeros(x.shape)
        result[items, rows] = one[:, 0]
        return result

    return forward
