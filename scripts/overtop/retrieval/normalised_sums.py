"""Softmax sums and best items by normalised similarity, over rows of a matrix that arrives in blocks of columns.

The normalised similarity of a query to item j is s_j - o_j. The probability that is kept is that of the item which is
best by the similarities themselves, with its group. Tests compare the results with those of a whole matrix in float64.
"""

import numpy as np
import torch

from overtop.retrieval.groups import BlockGroups
from overtop.retrieval.softmax_sums import LOG2_E
from overtop.retrieval.topk import TopK


class NormalisedSums:
    """Accumulator of one normalisation.

    The group of the item with the largest similarity is left out of the sum of the others, so that this sum stays exact
    where it is tiny. It is relative to the largest normalised similarity so far.

    Args:
        rows: number of rows of the matrix.
        top: number of best items by normalised similarity to keep.
        temperature: of the softmax.
        offsets: (n,) o_j of all columns.
        device: torch device of the blocks.
    """

    def __init__(self, rows: int, top: int, temperature: float, offsets: np.ndarray, device: str) -> None:
        self._temperature = temperature
        self._offsets = torch.as_tensor(offsets, dtype=torch.float32, device=device)
        self._topk = TopK(rows, top, device)
        self._reference = torch.full((rows,), -torch.inf, dtype=torch.float64, device=device)
        self._log_mass = torch.full_like(self._reference, -torch.inf)
        self._others = torch.zeros_like(self._reference)

    def update(self, block: torch.Tensor, rows: slice, items: slice, topk: TopK, groups: BlockGroups | None) -> None:
        """Add a block of columns.

        Args:
            block: as in `TopK.update`.
            rows: rows of the matrix that the first rows of the block belong to.
            items: columns of the matrix that the first columns of the block belong to.
            topk: accumulator of the similarities themselves, already updated with this block.
            groups: of the columns; None if in all blocks every column is a group of its own and occurs once.
        """
        height, width = rows.stop - rows.start, items.stop - items.start
        normalised = torch.empty_like(block)  # of the same memory layout
        normalised[height:], normalised[:, width:] = -torch.inf, -torch.inf
        values = normalised[:height, :width]
        torch.sub(block[:height, :width], self._offsets[items], out=values)
        self._topk.update(normalised, rows, items.start)
        column = topk.best_entries(rows)[1] - items.start
        inside = ((column >= 0) & (column < width)).nonzero().flatten()
        column = column[inside]
        reference = self._topk.best_entries(rows)[0].to(torch.float64)
        log_mass = values[inside, column].to(torch.float64) / self._temperature
        weight = values.sub_(reference.to(torch.float32)[:, None]).mul_(LOG2_E / self._temperature).exp2_()
        if groups is None:
            weight[inside, column] = 0.0
        else:
            weight = groups.sum(groups.multiply_by_copies(weight))
            group = groups.position[column]
            mass, copies = weight[inside, group].to(torch.float64), groups.copies[column].to(torch.float64)
            weight[inside, group] = 0.0
            # Where the weights of the group vanish in float32, its best item stands for it.
            log_mass = torch.where(
                mass > 0, mass.log() + reference[inside] / self._temperature, log_mass + copies.log()
            )
        self._store(rows, reference, inside, log_mass, weight.sum(dim=1))

    def _store(
        self, rows: slice, reference: torch.Tensor, inside: torch.Tensor, log_mass: torch.Tensor, others: torch.Tensor
    ) -> None:
        """Replace the groups that are left out in the rows `inside`, and add the sums of the others."""
        new_log_mass = self._log_mass[rows].index_copy(0, inside, log_mass)
        former = torch.exp(self._log_mass[rows] - reference / self._temperature)
        kept = torch.exp((self._reference[rows] - reference) / self._temperature) * self._others[rows]
        self._others[rows] = kept + others
        self._others[rows][inside] += former[inside]
        self._reference[rows], self._log_mass[rows] = reference, new_log_mass

    def merge(self, other: "NormalisedSums", rows: slice, is_later: torch.Tensor) -> None:
        """Add what was accumulated of later columns, which hold no group of the earlier ones.

        Args:
            other: accumulator of the same normalisation.
            rows: rows of the matrix that its rows are.
            is_later: (rows of `other`,) whether the largest similarity is in the later columns.
        """
        self._topk.merge(other._topk, rows)
        reference = torch.maximum(self._reference[rows], other._reference)
        others = torch.zeros_like(reference)
        for part, at in ((self, rows), (other, slice(None))):
            others += torch.exp((part._reference[at] - reference) / self._temperature) * part._others[at]
        former = torch.where(is_later, self._log_mass[rows], other._log_mass)
        self._log_mass[rows] = torch.where(is_later, other._log_mass, self._log_mass[rows])
        self._others[rows] = others + torch.exp(former - reference / self._temperature)
        self._reference[rows] = reference

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the state by name: the sums, each (rows,) float64, and the best items."""
        sums = {"reference": self._reference, "log_mass": self._log_mass, "others": self._others}
        return sums | {f"top/{name}": values for name, values in self._topk.tensors().items()}

    def neg_log_probability(self) -> np.ndarray:
        """Return minus the log of the probability of the best item by similarity, with its group, (rows,) float64."""
        exponent = self._others.log() + self._reference / self._temperature - self._log_mass
        return torch.logaddexp(torch.zeros_like(exponent), exponent).cpu().numpy()

    def best_items(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores and columns of the best items by normalised similarity, each (rows, top), best first."""
        return self._topk.results()
