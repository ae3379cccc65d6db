"""Faster encoding with open_clip's own towers, by skipping computations that do not affect the embedding.

A caption is pooled at its end token and attention is causal, so the tokens after the end token need not be computed.
Of the last layer's outputs only one token is used: the class token of an image, the end token of a caption. Other kinds
of towers run unchanged.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from overtop.encoders.attention import attend
from overtop.encoders.compat import open_clip
from overtop.encoders.patching import patch_attribute


def token_counts(model: Any, tokens: torch.Tensor) -> np.ndarray | None:
    """The number of leading tokens of each caption that affect its embedding, or None if all do.

    For Hugging Face towers these are the tokens that are not padding, for CLIP's own those up to the end token.

    Args:
        model: an open_clip model.
        tokens: (M, context) token ids.

    Returns:
        (M,) int64.
    """
    text = getattr(model, "text", None)
    if isinstance(text, open_clip.hf_model.HFTextEncoder):
        return (tokens != text.config.pad_token_id).sum(dim=1).numpy()
    tower = _causal_text_tower(model)
    return None if tower is None else _end_positions(tower, tokens).numpy() + 1


@contextmanager
def shortened_context(model: Any, context: int) -> Iterator[None]:
    """Inside this context `model.encode_text` accepts captions of `context` tokens instead of the full context."""
    tower = _causal_text_tower(model)
    with ExitStack() as stack:
        if tower is not None and context < len(tower.attn_mask):
            embedding = nn.Parameter(tower.positional_embedding[:context].detach(), requires_grad=False)
            patch_attribute(tower, "positional_embedding", embedding, stack)
            patch_attribute(tower, "attn_mask", tower.attn_mask[:context, :context], stack)
        yield


def encode_image(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """`model.encode_image(pixels)`, in less time if the tower pools the class token."""
    tower = model.visual
    with ExitStack() as stack:
        if isinstance(tower, open_clip.transformer.VisionTransformer) and _pools_class_token(tower):
            positions = torch.zeros(len(pixels), dtype=torch.long, device=pixels.device)
            _restrict_last_block(tower, positions, stack)
        return model.encode_image(pixels)


def encode_text(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """`model.encode_text(tokens)`, in less time if the tower is causal and pools the end token."""
    tower = _causal_text_tower(model)
    with ExitStack() as stack:
        if tower is not None:
            _restrict_last_block(tower, _end_positions(tower, tokens), stack)
        return model.encode_text(tokens)


def _pools_class_token(tower: Any) -> bool:
    return tower.attn_pool is None and tower.pool_type == "tok" and not tower.output_tokens


def _causal_text_tower(model: Any) -> Any | None:
    """The module with CLIP's text tower if its attention is causal and it pools the end token, else None."""
    tower = model if isinstance(model, open_clip.model.CLIP) else getattr(model, "text", None)
    if not isinstance(tower, open_clip.model.CLIP | open_clip.transformer.TextTransformer):
        return None
    uses_other_tokens = getattr(tower, "cls_emb", None) is not None or getattr(tower, "output_tokens", False)
    if uses_other_tokens or tower.attn_mask is None or _pool_type(tower) not in ("argmax", "eos"):
        return None
    return tower


def _pool_type(tower: Any) -> str:
    return str(tower.text_pool_type if isinstance(tower, open_clip.model.CLIP) else tower.pool_type)


def _end_positions(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """(M,) position of each caption's pooled token, computed as open_clip does."""
    if _pool_type(tower) == "argmax":
        return tokens.argmax(dim=-1)
    end_id = tower.text_eos_id if isinstance(tower, open_clip.model.CLIP) else tower.eos_id
    return (tokens == end_id).int().argmax(dim=-1)


def _restrict_last_block(tower: Any, positions: torch.Tensor, stack: ExitStack) -> None:
    """Let the last block compute one token of each item, at `positions` (n,); its other outputs are zeros."""
    transformer = tower.transformer
    block = transformer.resblocks[-1]
    if isinstance(block, open_clip.transformer.ResidualAttentionBlock) and transformer.batch_first:
        patch_attribute(block, "forward", _single_token_forward(block, positions), stack)


def _single_token_forward(block: Any, positions: torch.Tensor) -> Callable[..., torch.Tensor]:
    def forward(x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        items = torch.arange(len(x), device=x.device)
        normed = block.ln_1(x)
        mask = None if attn_mask is None else attn_mask[positions][:, None, None]
        token = x[items, positions][:, None]
        token = token + block.ls_1(attend(block.attn, normed[items, positions][:, None], normed, mask))
        token = token + block.ls_2(block.mlp(block.ln_2(token)))
        output = token.new_zeros(x.shape)
        output[items, positions] = token[:, 0]
        return output

    return forward
