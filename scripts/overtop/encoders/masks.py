"""Dropout masks that do not depend on how a batch is cut."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from overtop.errors import OvertopError

_WORDS = 2**16
"""Values of the random words that a mask is made of on a CPU: a rate is met to half of one in so many."""


class Masks(TorchFunctionMode):
    """While it lasts, dropout takes its masks from a stream of its own, and not from torch's global generator.

    For every layer a mask is drawn for a whole batch, and each item gets the rows of its place in it. So an item has
    the same masks whether its batch is run at once, in parts, or with gaps where others could not be read.

    Attention with dropout is computed in the open: torch's fused kernels take no mask. Every kind of attention that
    `dropout` switches on ends in `dropout` or `scaled_dot_product_attention` of `torch.nn.functional`.

    Args:
        seed: of this pass over this batch.
        size: items of a whole batch.
        places: (n,) places in the batch of the items that run now, in their order.

    Attributes:
        drawn: the number of masks drawn so far.
    """

    def __init__(self, seed: int, size: int, places: np.ndarray) -> None:
        super().__init__()
        self.drawn = 0
        self._seed, self._size, self._places = seed, size, places
        self._stream: Callable[[int, float], torch.Tensor] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer the two calls that draw masks, and let all others pass."""
        if func is functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        if func is functional.scaled_dot_product_attention:
            return self._attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> torch.Tensor:
        if not training or p == 0:
            return input
        return input * self._keep(input.shape, p, input.device).to(input.dtype)

    def _attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **options: Any,
    ) -> torch.Tensor:
        if dropout_p == 0:
            return functional.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **options
            )
        if options.get("enable_gqa"):
            raise OvertopError("MC dropout: attention with grouped queries is not supported; take another encoder")
        weights = (query * (scale or query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)
        if is_causal:
            attn_mask = torch.ones(weights.shape[-2:], dtype=torch.bool, device=weights.device).tril()
        if attn_mask is not None:
            added = attn_mask.dtype != torch.bool
            weights = weights + attn_mask if added else weights.masked_fill(~attn_mask, -math.inf)
        weights = torch.softmax(weights, dim=-1, dtype=torch.float32)
        weights *= self._keep(weights.shape, dropout_p, weights.device)
        return weights.to(value.dtype) @ value

    def _keep(self, shape: torch.Size, rate: float, device: torch.device) -> torch.Tensor:
        """The next mask, float32 of that shape: zero where an entry is dropped, else what keeps the mean."""
        items = len(self._places)
        if shape[0] % items:
            raise OvertopError(
                f"MC dropout: {items} items came to a layer as {tuple(shape)}, so their masks cannot be told apart; "
                "take an encoder whose attention has the batch first"
            )
        if self._stream is None:
            self._stream = self._on_cpu() if device.type == "cpu" else self._on(device)
        self.drawn += 1
        return self._stream(math.prod(shape) // items, rate).view(shape)

    def _on_cpu(self) -> Callable[[int, float], torch.Tensor]:
        """Random 16-bit words against a threshold: a tenth of the time of torch's generator."""
        words = np.random.SFC64(self._seed)

        def draw(per_item: int, rate: float) -> torch.Tensor:
            dropped = min(max(round(rate * _WORDS), 1), _WORDS - 1)
            needed = self._size * per_item
            drawn = words.random_raw(-(-needed // 4)).view(np.uint16)[:needed].reshape(self._size, per_item)
            kept = drawn[self._places] >= dropped
            return torch.from_numpy(np.multiply(kept, np.float32(_WORDS / (_WORDS - dropped)), dtype=np.float32))

        return draw

    def _on(self, device: torch.device) -> Callable[[int, float], torch.Tensor]:
        """The device's own generator."""
        generator = torch.Generator(device).manual_seed(self._seed)
        places = torch.as_tensor(self._places, device=device)

        def draw(per_item: int, rate: float) -> torch.Tensor:
            kept = torch.empty(self._size, per_item, dtype=torch.bool, device=device)
            return kept.bernoulli_(1 - rate, generator=generator)[places] / (1 - rate)

        return draw
