"""What is kept of each row of a matrix that arrives in blocks of columns: its k largest entries, its softmax sums.

For columns hand in the transposed view of a block: nothing is copied, every step follows the memory's layout.
"""

from __future__ import annotations

import math

import numpy as np
import torch

LOWEST = -(0x7F800001 << 32)  # the key of -inf in a column beyond all others


FOLD, LEAST_GROUPS = 4, 32


FEW, CHUNK = 10, 256


def canvas(rows: int, columns: int, device: str) -> torch.Tensor:
    """A matrix of -inf that holds a block of rows x columns in its corner; its sides are powers of two, for `Best`."""
    sides = (1 << (side - 1).bit_length() for side in (rows, columns))
    return torch.full(tuple(sides), -torch.inf, device=device)


class Best:
    """The k largest entries of each row, the smaller column first among equals.

    An entry is kept as one integer that sorts as the list does: the score in the upper half, the column, counted
    downwards, in the lower. To find the few entries of a block that can matter, its columns are put into groups, and
    those into larger groups. Only groups are looked into whose maximum exceeds the least entry kept and reaches the
    k-th largest of the groups' maxima, which is at most the k-th largest entry.

    Args:
        rows: of the matrix.
        k: how many entries to keep.
        device: where the blocks are.
    """

    def __init__(self, rows: int, k: int, device: str) -> None:
        self.k = k
        self._keys = torch.full((rows, k), LOWEST, device=device)
        self._infinity = torch.tensor(torch.inf, device=device)

    def update(self, block: torch.Tensor, rows: slice, first: int) -> None:
        """Take in columns `first` and following; the columns of a row must come in rising order.

        Args:
            block: (at least the number of rows, n), contiguous or the transposed view of such a matrix, sides powers
                of two. An entry of -inf is none.
            rows: which rows of the matrix the first rows of the block are.
            first: column of the matrix that the block's first column is.
        """
        kept = self._keys[rows]
        if self.k <= FEW and block.device.type == "cpu" and block.is_contiguous():
            further = _few_largest(block[: len(kept)], first, self.k)
            self._keys[rows] = _largest(torch.cat([kept, further], dim=1), self.k)
            return
        bar = torch.nextafter(_score(kept[:, :1]), self._infinity)
        row, column, values = _reaching(block, bar, self.k)
        if len(row):
            self._keys[rows] = _largest(_beside(kept, row, _key(values, first + column)), self.k)

    def first(self, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Score and column of the largest entry of each row so far."""
        keys = self._keys[rows].amax(dim=1)
        return _score(keys), _column(keys)

    def lists(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores, float32, and columns, int32, each (rows, k), best first."""
        keys = self._keys.sort(dim=1, descending=True).values
        return _score(keys).cpu().numpy(), _column(keys).to(torch.int32).cpu().numpy()


def _few_largest(block: torch.Tensor, first: int, k: int) -> torch.Tensor:
    """Keys of the k largest of each row, by k times the first largest: NumPy finds it at the speed of memory."""
    values = np.empty((len(block), k), dtype=np.float32)
    columns = np.empty((len(block), k), dtype=np.int64)
    for start in range(0, len(block), CHUNK):
        rest = block[start : start + CHUNK].numpy().copy()
        every = np.arange(len(rest))
        for i in range(k):
            column = rest.argmax(axis=1)
            values[start : start + CHUNK, i] = rest[every, column]
            columns[start : start + CHUNK, i] = column
            rest[every, column] = -np.inf
    score = torch.from_numpy(values)
    return _key(score, first + torch.from_numpy(columns)).masked_fill(score == -torch.inf, LOWEST)


def _reaching(block: torch.Tensor, bar: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row (rising), column and value of the entries that reach their row's bar and may be among its k largest.

    Args:
        block: as `Best.update` takes it.
        bar: (rows, 1).
        k: how many are looked for.
    """
    levels = _maxima(block, max(LEAST_GROUPS, round(math.sqrt(block.shape[1] * k) / 2)))
    coarsest = levels.pop()[: len(bar)].contiguous()
    if k < coarsest.shape[1]:
        bar = torch.maximum(bar, _largest(coarsest, k)[:, :1])
    hit = _positions(coarsest >= bar)
    row = hit // coarsest.shape[1]
    column = hit - row * coarsest.shape[1]
    values = _at(coarsest, row, column)
    for level in reversed(levels):
        members = column[:, None] + torch.arange(0, level.shape[1], level.shape[1] // FOLD, device=block.device)
        values = _at(level, row[:, None], members)
        chosen = _positions(values >= bar[row])
        row, column, values = row[chosen // FOLD], members.view(-1)[chosen], values.view(-1)[chosen]
    return row, column, values


def _maxima(block: torch.Tensor, groups: int) -> list[torch.Tensor]:
    """The block, then maxima of groups of its columns, `FOLD` times fewer each time but at least `groups`.

    At width w of a level, its column c holds the maximum of columns c, c + w, c + 2w, ... of the level before.
    """
    levels = [block]
    while levels[-1].shape[1] >= FOLD * groups:
        finer = levels[-1]
        if block.is_contiguous():
            levels.append(finer.unflatten(1, (FOLD, -1)).amax(dim=1))
        else:
            levels.append(finer.T.unflatten(0, (FOLD, -1)).amax(dim=0).T)
    return levels


def _largest(matrix: torch.Tensor, k: int) -> torch.Tensor:
    """The k largest of each row in any order, but the smallest of them first."""
    if matrix.device.type != "cpu":
        return matrix.topk(k, dim=1).values.flip(1)
    split = matrix.shape[1] - k  # NumPy selects with vector instructions, several times faster than torch.topk
    return torch.from_numpy(np.partition(matrix.numpy(), split, axis=1)[:, split:])


def _positions(mask: torch.Tensor) -> torch.Tensor:
    """Where a mask is true, as positions in its flattened form, rising."""
    if mask.device.type != "cpu":
        return mask.flatten().nonzero().flatten()
    return torch.from_numpy(np.flatnonzero(mask.numpy()))  # likewise


def _at(matrix: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    """matrix[row, column], several times faster than by that notation."""
    row_stride, stride = matrix.stride()
    places = row * row_stride + column * stride
    return matrix.as_strided((matrix.numel(),), (1,)).index_select(0, places.view(-1)).view(places.shape)


def _beside(kept: torch.Tensor, row: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """`kept` (rows, k) with further keys beside it, each in its row (rising), filled up with `LOWEST`."""
    count, k = kept.shape
    added = torch.bincount(row, minlength=count)
    rank = torch.arange(len(row), device=row.device) - (added.cumsum(0) - added)[row]
    wide = torch.full((count, k + int(added.max())), LOWEST, device=kept.device)
    wide[:, :k] = kept
    wide[row, k + rank] = keys
    return wide


def _key(score: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    bits = (score + 0.0).view(torch.int32)  # + 0.0 makes -0.0 the 0.0 it equals
    return (_in_order(bits).to(torch.int64) << 32) | (0xFFFFFFFF - column)


def _score(key: torch.Tensor) -> torch.Tensor:
    return _in_order((key >> 32).to(torch.int32)).view(torch.float32)


def _column(key: torch.Tensor) -> torch.Tensor:
    return 0xFFFFFFFF - (key & 0xFFFFFFFF)


def _in_order(bits: torch.Tensor) -> torch.Tensor:
    """From a float's bits to an integer of the same order, and back: negative floats run backwards."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)
