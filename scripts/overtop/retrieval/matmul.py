"""Matrix products of unit embeddings: in float32, or as exact with bfloat16 units of the processor.

Where a processor has tiles for bfloat16 (AMX), six bfloat16 products can take less time than one in float32. A float32
x has 24 significant bits, a bfloat16 has 8, so x = h + l + m exactly: h is the bfloat16 nearest to x, l the nearest to
x - h, and m the rest; |l| <= 2^-8 |x|, |m| <= 2^-16 |x|. Of a product x.y the terms h.h' + h.l' + l.h' + l.l' + h.m' +
m.h' are added in float32, and l.m' + m.l' + m.m' is left out: at most (2^-23 + 2^-32) sum |x_i y_i|, by Cauchy-Schwarz
at most `TRUNCATION_BOUND` for unit vectors, which is the rounding error of float32.

Fewer products do not give the float32 result. With three (x = h + l) the bound is 3 x 2^-16; on real CLIP embeddings
similarities are off by up to 3e-6, and 38 of 50,000 entries of the best 50 change. Computing the doubtful ones again
would gather more than the float32 product reads: most queries have doubtful entries among the best 50 of the mean, and
a softmax at temperature 0.01 depends on all of them.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol

import torch

from overtop.errors import OvertopError

Precision = Literal["auto", "float32", "bfloat16"]
Operand = tuple[torch.Tensor, ...]
"""A matrix (rows, D) in the form that `Matmul.multiply` takes."""

TRUNCATION_BOUND = 2.0**-23 + 2.0**-32
"""Upper bound on what `SplitBfloat16Matmul` leaves out of a product of unit vectors."""


class Matmul(Protocol):
    """A method of multiplying matrices; an operand takes `operand_parts` times the memory of its embeddings."""

    operand_parts: int

    def torch_settings(self) -> AbstractContextManager[None]:
        """Return a context with the settings of torch that `multiply` needs, for all threads."""
        ...

    def prepare(self, matrix: torch.Tensor) -> Operand:
        """Convert a matrix (rows, D) to an operand of `multiply`."""
        ...

    def multiply(self, left: Operand, right: Operand, out: torch.Tensor) -> None:
        """Write left @ right.T to `out`, float32."""
        ...


class Float32Matmul:
    """One product in float32."""

    operand_parts = 1

    def torch_settings(self) -> AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return nullcontext()

    def prepare(self, matrix: torch.Tensor) -> Operand:
        """Convert a matrix (rows, D) to an operand of `multiply`."""
        return (matrix,)

    def multiply(self, left: Operand, right: Operand, out: torch.Tensor) -> None:
        """Write left @ right.T to `out`, float32."""
        torch.mm(left[0], right[0].T, out=out)


class SplitBfloat16Matmul:
    """Six bfloat16 products, added in float32.

    The parts are float32 tensors of bfloat16 values: torch then returns float32, and where it multiplies in float32
    after all the result is the same.
    """

    operand_parts = 3

    @contextmanager
    def torch_settings(self) -> Iterator[None]:
        """Return a context in which torch may multiply float32 matrices in bfloat16."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def prepare(self, matrix: torch.Tensor) -> Operand:
        """Split a matrix (rows, D) into three parts that add up to it, from large to small."""
        high = matrix.to(torch.bfloat16).to(torch.float32)
        rest = matrix - high
        low = rest.to(torch.bfloat16).to(torch.float32)
        return high, low, rest - low

    def multiply(self, left: Operand, right: Operand, out: torch.Tensor) -> None:
        """Write left @ right.T to `out`, float32; the small terms are added first."""
        torch.mm(left[2], right[0].T, out=out)
        for i, j in ((0, 2), (1, 1), (1, 0), (0, 1), (0, 0)):
            torch.addmm(out, left[i], right[j].T, out=out)


def select_matmul(precision: Precision, device: str) -> Matmul:
    """Return the method of multiplying for a precision and a device.

    Args:
        precision: `auto` uses bfloat16 on a CPU with bfloat16 tiles. We choose by CPU capability, not by timing, so
            that results do not depend on load.
        device: torch device; with `auto`, a GPU multiplies in float32.

    Raises:
        OvertopError: the precision is unknown.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise OvertopError(f"precision {precision!r} is unknown; use auto, float32 or bfloat16")
    if precision == "auto":
        precision = "bfloat16" if torch.device(device).type == "cpu" and has_bfloat16_tiles() else "float32"
    return SplitBfloat16Matmul() if precision == "bfloat16" else Float32Matmul()


def has_bfloat16_tiles() -> bool:
    """Return whether the processor has AMX; half as fast units (AVX512-BF16) cannot make up for six products."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())
