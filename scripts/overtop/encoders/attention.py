"""The computation of `nn.MultiheadAttention`, implemented with `scaled_dot_product_attention` alone.

The module has several implementations. Some copy their input into another order, and some hide the dropout of the
attention probabilities from a `TorchFunctionMode` (see `masks`).
"""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional


def attend(
    attention: nn.MultiheadAttention, query: torch.Tensor, memory: torch.Tensor, attn_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Attention from `query` to `memory`, with dropout if `attention` is in train mode.

    Args:
        attention: a module without `add_bias_kv` and `add_zero_attn`.
        query: (n, Lq, E).
        memory: (n, Lk, Em), the keys and values. Self-attention is faster if this is the same object as `query`.
        attn_mask: added to the scores; any shape that broadcasts to (n, heads, Lq, Lk).

    Returns:
        (n, Lq, E).
    """
    q, k, v = (
        projected.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for projected in _project_inputs(attention, query, memory)
    )
    dropout = attention.dropout if attention.training else 0.0
    output = functional.scaled_dot_product_attention(q, k, v, attn_mask, dropout)
    return attention.out_proj(output.transpose(1, 2).flatten(2))


def _project_inputs(
    attention: nn.MultiheadAttention, query: torch.Tensor, memory: torch.Tensor
) -> Iterable[torch.Tensor]:
    """Queries, keys and values, (n, L, E) each."""
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
    """A replacement of `attention.forward` for the calls that open_clip's towers make.

    In these calls keys and values are the same tensor and the attention weights are not used.

    Raises:
        NotImplementedError: the attention weights are requested, or keys and values are different tensors.
    """
    if need_weights or key is not value:
        raise NotImplementedError("attention weights, and keys that differ from values, are not supported")
    if attn_mask is not None and attn_mask.ndim == 3:
        attn_mask = attn_mask.unflatten(0, (-1, attention.num_heads))
    if attention.batch_first:
        return attend(attention, query, key, attn_mask), None
    batch_first_query = query.transpose(0, 1)
    memory = batch_first_query if query is key else key.transpose(0, 1)
    return attend(attention, batch_first_query, memory, attn_mask).transpose(0, 1), None
