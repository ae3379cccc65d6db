"""The same numbers as torch's own module, whatever the weights, the masks and the order of dimensions."""

from typing import Any

import pytest
import torch
from torch import nn

from overtop.encoders.attention import attend, forward


def _attention(**options: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(12, 3, **options).eval()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.3)
    return attention


def _additive(*shape: int) -> torch.Tensor:
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
def test_of_tokens_to_themselves(options: dict[str, Any], mask: tuple[int, ...] | None) -> None:
    attention = _attention(**options)
    x = torch.randn(5, 7, 12) if attention.batch_first else torch.randn(7, 5, 12)
    attn_mask = None if mask is None else _additive(*mask)
    with torch.inference_mode():
        expected = attention(x, x, x, need_weights=False, attn_mask=attn_mask)[0]
        found, weights = forward(attention, x, x, x, need_weights=False, attn_mask=attn_mask)
    assert weights is None
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("options", [{}, {"kdim": 8, "vdim": 8}])
@pytest.mark.parametrize("batch_first", [True, False])
def test_of_queries_to_something_else(options: dict[str, Any], batch_first: bool) -> None:
    attention = _attention(batch_first=batch_first, **options)
    query, memory = torch.randn(5, 2, 12), torch.randn(5, 7, attention.kdim)
    if not batch_first:
        query, memory = query.transpose(0, 1), memory.transpose(0, 1)
    with torch.inference_mode():
        expected = attention(query, memory, memory, need_weights=False)[0]
        torch.testing.assert_close(forward(attention, query, memory, memory)[0], expected)


def test_dropout_is_on_in_train_mode_alone() -> None:
    attention = _attention(batch_first=True, dropout=0.5)
    x = torch.randn(5, 7, 12)
    with torch.inference_mode():
        assert torch.equal(attend(attention, x, x), attend(attention, x, x))
        attention.train()
        assert not torch.equal(attend(attention, x, x), attend(attention, x, x))


def test_calls_of_another_kind_are_refused() -> None:
    attention, x = _attention(batch_first=True), torch.randn(5, 7, 12)
    with pytest.raises(NotImplementedError):
        forward(attention, x, x, x, need_weights=True)
    with pytest.raises(NotImplementedError):
        forward(attention, x, x, x + 1)
