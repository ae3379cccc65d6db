"""Softmax sums over each row of a matrix that arrives in blocks of columns: over its items, and over their groups.

For the columns of a matrix, pass the transposed view of a block: nothing is copied. Tests compare the sums with those
of the whole matrix in float64.
"""

import math
from typing import NamedTuple, Self

import numpy as np
import torch

from overtop.retrieval.groups import BlockGroups
from overtop.retrieval.topk import TopK

LOG2_E = math.log2(math.e)
"""Factor by which exp(x) = 2^(x LOG2_E): on a CPU, torch computes powers of two several times faster than exp."""

EXCLUDED_GAP = 1e30
"""Gap of an entry to leave out: its exponential is 0 at any temperature, and its product with 0 is not NaN."""


class SumsOfRows(NamedTuple):
    """Softmax sums of R rows at T temperatures, each (R, T) float64; s_(1) is the largest entry of a row.

    Attributes:
        log_partition: log of the sum of exp((s - s_(1))/temperature) over the items.
        mean_gap: s_(1) minus the mean of s under the softmax.
        group_log_partition: minus the log of the probability of the group of the largest entry.
        group_entropy: entropy of the probabilities of the groups, in nats.
    """

    log_partition: np.ndarray
    mean_gap: np.ndarray
    group_log_partition: np.ndarray
    group_entropy: np.ndarray


class Peaks(NamedTuple):
    """The largest entries of the rows after a block of columns.

    Attributes:
        score: (rows,) float32.
        rise: (rows,) float64, by how much the block raised them; 0 in the first block.
        rows: (n,) the rows whose largest entry is in the block.
        columns: (n,) its position in the block.
    """

    score: torch.Tensor
    rise: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor


class MergedPeaks(NamedTuple):
    """The largest entries of the rows in some columns and in later ones, each (rows,).

    Attributes:
        is_later: whether the largest of all is in the later columns.
        falls: for both parts by how much their largest entry is below that, float64.
    """

    is_later: torch.Tensor
    falls: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def find(cls, before: torch.Tensor, after: torch.Tensor, peak: torch.Tensor) -> Self:
        """Compare the largest entries of both parts, float64 (rows,), with the larger of them."""
        falls = [torch.where(part.isfinite(), peak - part, EXCLUDED_GAP) for part in (before, after)]
        return cls(after > before, (falls[0], falls[1]))


class SoftmaxSums:
    """Accumulator of the sums over each row of exp((s - s_(1))/temperature), where s_(1) is the largest entry.

    The term of the largest entry, and of its group, is left out of the sums of the others, so that they stay exact
    where all others are tiny.

    Args:
        rows: number of rows of the matrix.
        temperatures: T temperatures.
        are_single: whether every column is a group of its own and occurs once.
        device: torch device of the blocks.
    """

    def __init__(self, rows: int, temperatures: tuple[float, ...], are_single: bool, device: str) -> None:
        self._peak = torch.full((rows,), -torch.inf, dtype=torch.float64, device=device)
        self._items = [_ItemSums(rows, temperature, device) for temperature in temperatures]
        self._groups = [_GroupSums(rows, temperature, device) for temperature in temperatures]
        self._are_single = are_single

    def update(
        self, block: torch.Tensor, rows: slice, first_column: int, topk: TopK, groups: BlockGroups | None = None
    ) -> None:
        """Add a block of columns.

        Args:
            block: (number of rows, n), in any memory layout.
            rows: rows of the matrix that the block belongs to.
            first_column: column of the matrix that the first column of the block belongs to.
            topk: accumulator that has already been updated with this block.
            groups: of the columns; None if all are single.
        """
        peaks = self._raise_peaks(block.shape[1], rows, first_column, topk)
        gap = peaks.score[:, None] - block
        gap[peaks.rows, peaks.columns] = EXCLUDED_GAP
        weight = torch.empty_like(gap)
        for items, of_groups in zip(self._items, self._groups, strict=True):
            torch.mul(gap, -LOG2_E / items.temperature, out=weight).exp2_()
            if groups is not None:
                groups.multiply_by_copies(weight)
                of_groups.update(groups, weight, rows, peaks)
            items.update(weight, gap, rows, peaks, groups)

    def _raise_peaks(self, width: int, rows: slice, first_column: int, topk: TopK) -> Peaks:
        """Return the largest entries of some rows, and store their scores."""
        score, column = topk.best_entries(rows)
        peak = score.to(torch.float64)
        rise = torch.where(self._peak[rows].isfinite(), peak - self._peak[rows], 0.0)
        self._peak[rows] = peak
        position = column - first_column
        inside = ((position >= 0) & (position < width)).nonzero().flatten()
        return Peaks(score, rise, inside, position[inside])

    def merge(self, other: "SoftmaxSums", rows: slice) -> None:
        """Add the sums over later columns of the same matrix.

        Args:
            other: accumulator at the same temperatures.
            rows: rows of the matrix that its rows are.
        """
        before, after = self._peak[rows], other._peak
        peak = torch.maximum(before, after)
        peaks = MergedPeaks.find(before, after, peak)
        for items, further in zip(self._items, other._items, strict=True):
            items.merge(further, rows, peaks)
        for groups, further_groups in zip(self._groups, other._groups, strict=True):
            groups.merge(further_groups, rows, peaks)
        self._peak[rows] = peak

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the state by name: of each row the largest entry and the sums at each temperature, float64."""
        named = {"peak": self._peak}
        for number, (items, groups) in enumerate(zip(self._items, self._groups, strict=True)):
            named |= {f"items/{number}/{name}": values for name, values in items.tensors().items()}
            named |= {f"groups/{number}/{name}": values for name, values in groups.tensors().items()}
        return named

    def results(self) -> SumsOfRows:
        """Return the sums of all rows, after all blocks."""
        items = [sums.results() for sums in self._items]
        log_partition, mean_gap = (_as_columns(values, len(self._peak)) for values in _transpose(items, 2))
        if self._are_single:
            temperatures = np.array([sums.temperature for sums in self._items])
            return SumsOfRows(log_partition, mean_gap, log_partition, log_partition + mean_gap / temperatures)
        groups = [sums.results() for sums in self._groups]
        return SumsOfRows(
            log_partition, mean_gap, *(_as_columns(values, len(self._peak)) for values in _transpose(groups, 2))
        )


class _ItemSums:
    """Sums over the items at one temperature, relative to the largest entry of each row."""

    def __init__(self, rows: int, temperature: float, device: str) -> None:
        self.temperature = temperature
        self._others, self._gaps = torch.zeros(2, rows, dtype=torch.float64, device=device)

    def update(
        self, weight: torch.Tensor, gap: torch.Tensor, rows: slice, peaks: Peaks, groups: BlockGroups | None
    ) -> None:
        """Add a block of weights (rows, n), which are overwritten, with the gaps that they come from."""
        shrink = torch.exp(-peaks.rise / self.temperature)
        before = self._others[rows] + (peaks.rise > 0)  # the former largest entry is now one of the others
        gaps = shrink * (self._gaps[rows] + before * peaks.rise)
        self._others[rows] = shrink * before + weight.sum(dim=1)
        self._gaps[rows] = gaps + weight.mul_(gap).sum(dim=1)
        if groups is not None:  # further copies of the largest entry have its weight, 1, and no gap
            self._others[rows].index_add_(0, peaks.rows, (groups.copies[peaks.columns] - 1.0).to(torch.float64))

    def merge(self, other: "_ItemSums", rows: slice, peaks: MergedPeaks) -> None:
        """Add the sums over later columns."""
        parts = zip(
            (~peaks.is_later, peaks.is_later),
            peaks.falls,
            ((self._others[rows], self._gaps[rows]), (other._others, other._gaps)),
            strict=True,
        )
        others, gaps = torch.zeros(2, len(peaks.is_later), dtype=torch.float64, device=peaks.is_later.device)
        for has_peak, fall, (of_part, gaps_of_part) in parts:
            shrink = torch.exp(-fall / self.temperature)
            count = of_part + ~has_peak  # the largest entry of the other part is now one of the others
            others += shrink * count
            gaps += shrink * (gaps_of_part + count * fall)
        self._others[rows], self._gaps[rows] = others, gaps

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the sums by name, each (rows,)."""
        return {"others": self._others, "gaps": self._gaps}

    def results(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log partition and mean gap, each (rows,)."""
        return self._others.log1p(), self._gaps / (1.0 + self._others)


class _GroupSums:
    """Sums over the groups at one temperature, relative to the largest entry of each row.

    With the weight W of a group, `_others` sums W and `_entropy` -W log W over all groups but that of the largest
    entry, whose weight is `_mass`.
    """

    def __init__(self, rows: int, temperature: float, device: str) -> None:
        self._temperature = temperature
        self._others, self._entropy, self._mass = torch.zeros(3, rows, dtype=torch.float64, device=device)

    def update(self, groups: BlockGroups, weight: torch.Tensor, rows: slice, peaks: Peaks) -> None:
        """Add the weights (rows, n) of a block, in which the largest entry itself has the weight 0."""
        sums = groups.sum(weight)
        of_peak = groups.position[peaks.columns]
        mass = (sums[peaks.rows, of_peak] + groups.copies[peaks.columns]).to(torch.float64)
        sums[peaks.rows, of_peak] = 0.0
        former = torch.zeros_like(self._mass[rows])
        former[peaks.rows] = self._mass[rows][peaks.rows]  # the group of the former largest entry is now another group
        others = self._others[rows] + former
        entropy = self._entropy[rows] - torch.xlogy(former, former)
        shrink = torch.exp(-peaks.rise / self._temperature)
        entropy = shrink * (entropy + others * peaks.rise / self._temperature)
        self._others[rows] = shrink * others + sums.sum(dim=1)
        self._entropy[rows] = entropy - torch.xlogy(sums, sums).sum(dim=1)
        self._mass[rows] = self._mass[rows].index_copy(0, peaks.rows, mass)

    def merge(self, other: "_GroupSums", rows: slice, peaks: MergedPeaks) -> None:
        """Add the sums over later columns, which hold no group of the earlier ones."""
        parts = zip(
            (~peaks.is_later, peaks.is_later),
            peaks.falls,
            ((self._others[rows], self._entropy[rows], self._mass[rows]), (other._others, other._entropy, other._mass)),
            strict=True,
        )
        others, entropy, mass = torch.zeros(3, len(peaks.is_later), dtype=torch.float64, device=peaks.is_later.device)
        for has_peak, fall, (of_part, entropy_of_part, mass_of_part) in parts:
            shrink = torch.exp(-fall / self._temperature)
            former = torch.where(has_peak, 0.0, mass_of_part)  # the group is now one of the others
            weights = of_part + former
            others += shrink * weights
            entropy += shrink * (entropy_of_part - torch.xlogy(former, former) + weights * fall / self._temperature)
            mass += torch.where(has_peak, mass_of_part, 0.0)
        self._others[rows], self._entropy[rows], self._mass[rows] = others, entropy, mass

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the sums by name, each (rows,)."""
        return {"others": self._others, "entropy": self._entropy, "mass": self._mass}

    def results(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return minus the log probability of the group of the largest entry, and the entropy, each (rows,)."""
        rest = torch.log1p(self._others / self._mass)
        share = self._others / (self._mass + self._others)
        entropy = rest + share * self._mass.log() + self._entropy / (self._mass + self._others)
        return rest, entropy.clamp(min=0.0)


def _transpose(pairs: list[tuple[torch.Tensor, torch.Tensor]], width: int) -> list[list[torch.Tensor]]:
    """Return the first entries of all pairs, and the second ones."""
    return [[pair[i] for pair in pairs] for i in range(width)]


def _as_columns(columns: list[torch.Tensor], rows: int) -> np.ndarray:
    """Return columns (rows,) as one array (rows, number of columns), float64."""
    return np.stack([column.cpu().numpy() for column in columns], axis=1) if columns else np.empty((rows, 0))
