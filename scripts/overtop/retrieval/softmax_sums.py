"""Softmax sums over each row of a matrix that arrives in blocks of columns.

For the columns of a matrix, pass the transposed view of a block: nothing is copied. Tests compare the sums with those
of the whole matrix in float64.
"""

import numpy as np
import torch

from overtop.retrieval.topk import TopK

EXCLUDED_GAP = 1e30
"""Gap of an entry to leave out: its exponential is 0 at any temperature, and its product with 0 is not NaN."""


class SoftmaxSums:
    """Accumulator of the sums over each row of exp((s - s_(1))/temperature), where s_(1) is the largest entry.

    The term of the largest entry itself, 1, is left out of the sums, so that they stay exact where all others are tiny.

    Args:
        rows: number of rows of the matrix.
        temperatures: T temperatures.
        device: torch device of the blocks.
    """

    def __init__(self, rows: int, temperatures: tuple[float, ...], device: str) -> None:
        self._temperatures = temperatures
        self._peak = torch.full((rows,), -torch.inf, dtype=torch.float64, device=device)
        self._weights = torch.zeros(rows, len(temperatures), dtype=torch.float64, device=device)
        self._weighted_gaps = torch.zeros_like(self._weights)

    def update(self, block: torch.Tensor, rows: slice, first_column: int, topk: TopK) -> None:
        """Add a block of columns.

        Args:
            block: (number of rows, n), in any memory layout.
            rows: rows of the matrix that the block belongs to.
            first_column: column of the matrix that the first column of the block belongs to.
            topk: accumulator that has already been updated with this block.
        """
        score, column = topk.best_entries(rows)
        peak = score.to(torch.float64)
        rise = torch.where(self._peak[rows].isfinite(), peak - self._peak[rows], 0.0)
        self._peak[rows] = peak
        gap = score[:, None] - block
        peak_in_block = ((column >= first_column) & (column < first_column + block.shape[1])).nonzero().flatten()
        gap[peak_in_block, column[peak_in_block] - first_column] = EXCLUDED_GAP
        weight = torch.empty_like(gap)
        for t, temperature in enumerate(self._temperatures):
            shrink = torch.exp(-rise / temperature)
            before = self._weights[rows, t] + (rise > 0)  # the former largest entry is now one of the others
            torch.div(gap, -temperature, out=weight).exp_()
            gaps = self._weighted_gaps[rows, t]
            self._weights[rows, t] = shrink * before + weight.sum(dim=1)
            self._weighted_gaps[rows, t] = shrink * (gaps + before * rise) + weight.mul_(gap).sum(dim=1)

    def results(self) -> tuple[np.ndarray, np.ndarray]:
        """Return log partition and mean gap.

        Returns:
            The log of the whole sum, and s_(1) minus the mean of s under the softmax, each (rows, T), float64.
        """
        return self._weights.log1p().cpu().numpy(), (self._weighted_gaps / (1.0 + self._weights)).cpu().numpy()
