"""What `nn.MultiheadAttention` computes, by way of `scaled_dot_product_attention` alone.

The module itself has several ways, which copy their input into another order and hide the dropout of their
probabilities from a `TorchFunctionMode` (see `masks`).
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional


def attend(
    attention: nn.MultiheadAttention, query: torch.Tensor, memory: torch.Tensor, attn_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Attend from `query` to `memory`, with dropout where `attention` is in train mode.

    Args:
        attention: without `add_bias_kv` and `add_zero_attn`.
        query: (n, Lq, E).
        memory: (n, Lk, Em), keys and values; the same object as `query` for self-attention, which is then faster.
        attn_mask: added to the scores; anything that broadcasts to (n, heads, Lq, Lk).

    Returns:
        (n, Lq, E).
    """
    q, k, v = (
        part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in _project(attention, query, memory)
    )
    dropout = attention.dropout if attention.training else 0.0
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask, dropout)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def _project(attention: nn.MultiheadAttention, query: torch.Tensor, memory: torch.Tensor) -> Any:
    if attention._qkv_same_embed_dim:
        if query is memory:
            return functional.linear(query, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
        weights = attention.in_proj_weight.chunk(3)
    else:
        weights = (attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight)
    biases = (None,) * 3 if attention.in_proj_bias is None else attention.in_proj_bias.chunk(3)
    return map(functional.linear, (query, memory, memory), weights, biases)


def forward(
    attention: nn.MultiheadAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    need_weights: bool = False,
    attn_mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, None]:
    """`attention.forward` for the calls that open_clip's towers make: keys are values, and nobody reads the weights."""
    if need_weights or key is not value:
        raise NotImplementedError("attention weights are not returned, and keys and values are one tensor")
    if attn_mask is not None and attn_mask.ndim == 3:
        attn_mask = attn_mask.unflatten(0, (-1, attention.num_heads))
    if attention.batch_first:
        return attend(attention, query, key, attn_mask), None
    first = query.transpose(0, 1)
    memory = first if query is key else key.transpose(0, 1)
    return attend(attention, first, memory, attn_mask).transpose(0, 1), None
