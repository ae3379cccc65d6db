"""Dropout masks that belong to items, however a batch is split into parts."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from overtop.errors import OvertopError

_WORD_VALUES = 2**16
"""Values of one random 16-bit word; on a CPU dropout rates are rounded to multiples of its inverse."""

MaskSampler = Callable[[int, float], torch.Tensor]
"""Called with the entries per item and the dropout rate; returns the next mask, float32 (n, entries)."""


class DropoutMasks(TorchFunctionMode):
    """Inside this context dropout takes its masks from a seeded stream instead of torch's global generator.

    Each layer's mask is drawn for a full batch, and each item uses the rows of its position in the batch. So an item
    has the same masks whether its batch is run at once, in parts, or without items that could not be read.

    Attention with dropout is computed step by step, because torch's fused kernels accept no mask. Every kind of
    attention for which `dropout` enables dropout calls `dropout` or `scaled_dot_product_attention` of
    `torch.nn.functional` in the end.

    Args:
        seed: seed of one pass over one batch.
        batch_size: number of items of a full batch.
        positions: (n,) positions in the batch of the items that are run, in their order.

    Attributes:
        n_drawn: number of masks drawn so far.
    """

    def __init__(self, seed: int, batch_size: int, positions: np.ndarray) -> None:
        super().__init__()
        self.n_drawn = 0
        self._seed, self._batch_size, self._positions = seed, batch_size, positions
        self._sampler: MaskSampler | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace the two functions that draw masks; call all others unchanged."""
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
        return input * self._next_mask(input.shape, p, input.device).to(input.dtype)

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
            raise OvertopError("MC dropout: grouped-query attention is not supported; use another encoder")
        weights = (query * (scale or query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)
        if is_causal:
            attn_mask = torch.ones(weights.shape[-2:], dtype=torch.bool, device=weights.device).tril()
        if attn_mask is not None:
            is_additive = attn_mask.dtype != torch.bool
            weights = weights + attn_mask if is_additive else weights.masked_fill(~attn_mask, -math.inf)
        weights = torch.softmax(weights, dim=-1, dtype=torch.float32)
        weights *= self._next_mask(weights.shape, dropout_p, weights.device)
        return weights.to(value.dtype) @ value

    def _next_mask(self, shape: torch.Size, rate: float, device: torch.device) -> torch.Tensor:
        """The next mask, float32 of that shape: 0 for dropped entries, else the factor that preserves the mean."""
        n_items = len(self._positions)
        if shape[0] % n_items:
            raise OvertopError(
                f"MC dropout: a layer received {n_items} items as a tensor of shape {tuple(shape)}, so masks cannot be "
                "assigned to items; use an encoder whose attention has the batch as its first dimension"
            )
        if self._sampler is None:
            self._sampler = self._cpu_sampler() if device.type == "cpu" else self._gpu_sampler(device)
        self.n_drawn += 1
        return self._sampler(math.prod(shape) // n_items, rate).view(shape)

    def _cpu_sampler(self) -> MaskSampler:
        """Masks from random 16-bit words and a threshold, ten times as fast as torch's generator."""
        generator = np.random.SFC64(self._seed)

        def sample(entries: int, rate: float) -> torch.Tensor:
            threshold = min(max(round(rate * _WORD_VALUES), 1), _WORD_VALUES - 1)
            n_words = self._batch_size * entries
            words = generator.random_raw(-(-n_words // 4)).view(np.uint16)[:n_words].reshape(self._batch_size, entries)
            is_kept = words[self._positions] >= threshold
            factor = np.float32(_WORD_VALUES / (_WORD_VALUES - threshold))
            return torch.from_numpy(np.multiply(is_kept, factor, dtype=np.float32))

        return sample

    def _gpu_sampler(self, device: torch.device) -> MaskSampler:
        """Masks from the device's own generator."""
        generator = torch.Generator(device).manual_seed(self._seed)
        positions = torch.as_tensor(self._positions, device=device)

        def sample(entries: int, rate: float) -> torch.Tensor:
            is_kept = torch.empty(self._batch_size, entries, dtype=torch.bool, device=device)
            return is_kept.bernoulli_(1 - rate, generator=generator)[positions] / (1 - rate)

        return sample
