"""Attention equals torch's own module for all kinds of weights, masks and dimension orders."""

from typing import Any

import pytest
import torch
from torch import nn

from overtop.encoders.attention import attend, forward


def _random_attention(**options: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(12, 3, **options).eval()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.3)
    return attention


def _random_additive_mask(*shape: int) -> torch.Tensor:
    return torch.zeros(shape).masked_fill(torch.rand(shape).argsort(dim=-1) > 3, -torch.inf)


@pytest.mark.parametrize(
    ("options", "mask"),
    [
        ({"batch_first": True}, None),
        ({"batch_first": True, "bias": False}, None),
        ({"batch_first": True}, (7, 7)),
        ({"batch_first": True}, (15, 7, 7)),  # items x heads
        ({"batch_first": False}, (7, 7)),
    ],
)
def test_self_attention_equals_torch(options: dict[str, Any], mask: tuple[int, ...] | None) -> None:
    attention = _random_attention(**options)
    x = torch.randn(5, 7, 12) if attention.batch_first else torch.randn(7, 5, 12)
    attn_mask = None if mask is None else _random_additive_mask(*mask)
    with torch.inference_mode():
        expected = attention(x, x, x, need_weights=False, attn_mask=attn_mask)[0]
        output, weights = forward(attention, x, x, x, need_weights=False, attn_mask=attn_mask)
    assert weights is None
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("options", [{}, {"kdim": 8, "vdim": 8}])
@pytest.mark.parametrize("batch_first", [True, False])
def test_cross_attention_equals_torch(options: dict[str, Any], batch_first: bool) -> None:
    attention = _random_attention(batch_first=batch_first, **options)
    query, memory = torch.randn(5, 2, 12), torch.randn(5, 7, attention.kdim)
    if not batch_first:
        query, memory = query.transpose(0, 1), memory.transpose(0, 1)
    with torch.inference_mode():
        expected = attention(query, memory, memory, need_weights=False)[0]
        torch.testing.assert_close(forward(attention, query, memory, memory)[0], expected)


def test_dropout_is_applied_only_in_train_mode() -> None:
    attention = _random_attention(batch_first=True, dropout=0.5)
    x = torch.randn(5, 7, 12)
    with torch.inference_mode():
        assert torch.equal(attend(attention, x, x), attend(attention, x, x))
        attention.train()
        assert not torch.equal(attend(attention, x, x), attend(attention, x, x))


def test_calls_with_attention_weights_or_separate_values_are_rejected() -> None:
    attention, x = _random_attention(batch_first=True), torch.randn(5, 7, 12)
    with pytest.raises(NotImplementedError):
        forward(attention, x, x, x, need_weights=True)
    with pytest.raises(NotImplementedError):
        forward(attention, x, x, x + 1)
