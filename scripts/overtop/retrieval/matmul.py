"""Products of unit embeddings: in float32, or as exact on units of the processor that multiply bfloat16.

Where a processor has tiles for bfloat16 (AMX), six such products can take less time than one in float32. A float32 x
has 24 significant bits, a bfloat16 has 8, so x = h + l + m exactly: h the bfloat16 nearest to x, l the nearest to x -
h, m what is left; |l| <= 2^-8 |x|, |m| <= 2^-16 |x|. Of a product x.y the terms h.h' + h.l' + l.h' + l.l' + h.m' +
m.h' are summed up in float32, and l.m' + m.l' + m.m' is left out: at most (2^-23 + 2^-32) sum |x_i y_i|, by Cauchy-
Schwarz at most `TRUNCATION` for unit vectors, which is a float32's own rounding.

Fewer products do not give the float32 answer. With three (x = h + l) the bound is 3 x 2^-16, and on real CLIP
embeddings similarities are off by up to 3e-6 and 38 of 50,000 places in the lists of the best 50 change. Scoring the
doubtful ones again gathers more than the float32 product reads: of the best 50 of the mean some are doubtful for most
queries, and a softmax at temperature 0.01 depends on all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol

import torch

from overtop.errors import OvertopError

Precision = Literal["auto", "float32", "bfloat16"]
Operand = tuple[torch.Tensor, ...]
TRUNCATION = 2.0**-23 + 2.0**-32


class Product(Protocol):
    """A way to multiply; an operand takes `parts` times the memory of its embeddings."""

    parts: int

    def ready(self) -> AbstractContextManager[None]:
        """Holds while products are formed, in whichever threads."""
        ...

    def prepare(self, unit: torch.Tensor) -> Operand:
        """What `multiply` takes for an operand (rows, D)."""
        ...

    def multiply(self, left: Operand, right: Operand, out: torch.Tensor) -> None:
        """Write left @ right.T to `out`, float32."""
        ...


class Float32:
    """Plain products."""

    parts = 1

    def ready(self) -> AbstractContextManager[None]:
        """Nothing needs to hold."""
        return nullcontext()

    def prepare(self, unit: torch.Tensor) -> Operand:
        """What `multiply` takes for an operand (rows, D)."""
        return (unit,)

    def multiply(self, left: Operand, right: Operand, out: torch.Tensor) -> None:
        """Write left @ right.T to `out`, float32."""
        torch.mm(left[0], right[0].T, out=out)


class SplitBfloat16:
    """Six bfloat16 products, summed up in float32.

    The parts stay float32 tensors that bfloat16 can hold: torch then returns float32, and where it does multiply in
    float32 the result is the same.
    """

    parts = 3

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Torch may multiply float32 matrices in bfloat16."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def prepare(self, unit: torch.Tensor) -> Operand:
        """What `multiply` takes for an operand (rows, D): parts that add up to it, large to small."""
        upper = unit.to(torch.bfloat16).to(torch.float32)
        rest = unit - upper
        middle = rest.to(torch.bfloat16).to(torch.float32)
        return upper, middle, rest - middle

    def multiply(self, left: Operand, right: Operand, out: torch.Tensor) -> None:
        """Write left @ right.T to `out`, float32; the small terms are summed up first."""
        torch.mm(left[2], right[0].T, out=out)
        for i, j in ((0, 2), (1, 1), (1, 0), (0, 1), (0, 0)):
            torch.addmm(out, left[i], right[j].T, out=out)


def product_for(precision: Precision, device: str) -> Product:
    """How to multiply.

    Args:
        precision: `auto` takes bfloat16 where the processor has tiles for it. A stopwatch would know better which is
            faster, and choose now this and now that on a busy machine: the last bits of a ranking would be luck.
        device: a GPU always multiplies in float32.

    Raises:
        OvertopError: the precision is none of these.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise OvertopError(f"precision {precision!r} is unknown; use auto, float32 or bfloat16")
    if precision == "auto":
        return SplitBfloat16() if torch.device(device).type == "cpu" and _has_bfloat16_tiles() else Float32()
    return SplitBfloat16() if precision == "bfloat16" else Float32()


def _has_bfloat16_tiles() -> bool:
    """Whether the processor has AMX; half as fast units (AVX512-BF16) cannot make up for six products."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())
