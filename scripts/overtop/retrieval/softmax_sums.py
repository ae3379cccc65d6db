"""What is kept of each row of a matrix that arrives in blocks of columns: its k largest entries, its softmax sums.

For columns hand in the transposed view of a block: nothing is copied, every step follows the memory's layout.
"""

from __future__ import annotations

import numpy as np
import torch

from overtop.retrieval.topk import Best

NEVER = -1e30  # a similarity whose exponential is 0 at any temperature, and whose product with 0 is no NaN


class SoftmaxSums:
    """Sums over each row of exp((s - s_(1))/temperature), s_(1) its largest entry.

    What the largest entry itself adds, 1, is left out of the sums, so that they stay exact where it stands alone.

    Args:
        rows: of the matrix.
        temperatures: T temperatures.
        device: where the blocks are.
    """

    def __init__(self, rows: int, temperatures: tuple[float, ...], device: str) -> None:
        self._temperatures = temperatures
        self._peak = torch.full((rows,), -torch.inf, dtype=torch.float64, device=device)
        self._others = torch.zeros(rows, len(temperatures), dtype=torch.float64, device=device)
        self._gaps = torch.zeros_like(self._others)

    def update(self, block: torch.Tensor, rows: slice, first: int, best: Best) -> None:
        """Take in columns `first` and following.

        Args:
            block: (number of rows, n), in any layout.
            rows: which rows of the matrix they are.
            first: column of the matrix that the block's first column is.
            best: which has taken in the same block already.
        """
        score, column = best.first(rows)
        peak = score.to(torch.float64)
        rise = torch.where(self._peak[rows].isfinite(), peak - self._peak[rows], 0.0)
        self._peak[rows] = peak
        gap = score[:, None] - block
        here = ((column >= first) & (column < first + block.shape[1])).nonzero().flatten()
        gap[here, column[here] - first] = -NEVER
        weight = torch.empty_like(gap)
        for t, temperature in enumerate(self._temperatures):
            shrink = torch.exp(-rise / temperature)
            before = self._others[rows, t] + (rise > 0)  # the largest entry of before is now one of the others
            torch.div(gap, -temperature, out=weight).exp_()
            self._others[rows, t] = shrink * before + weight.sum(dim=1)
            self._gaps[rows, t] = shrink * (self._gaps[rows, t] + before * rise) + weight.mul_(gap).sum(dim=1)

    def results(self) -> tuple[np.ndarray, np.ndarray]:
        """The log of the whole sum, and s_(1) less the mean of s under the softmax, each (rows, T), float64."""
        return self._others.log1p().cpu().numpy(), (self._gaps / (1.0 + self._others)).cpu().numpy()
