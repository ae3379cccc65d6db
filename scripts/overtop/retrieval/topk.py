"""The k largest entries of each row of a matrix that arrives in blocks of columns.

For the columns of a matrix, pass the transposed view of a block: nothing is copied, and every step follows the memory
layout of the block. Tests compare the results with a plain sort of the whole matrix.
"""

import math

import numpy as np
import torch

from overtop.memory import ARGMAX_CHUNK_ROWS, CACHE_BYTES, blocks

MAX_ARGMAX_K = 10
"""Largest k for which k passes of argmax are faster than a selection among groups of columns."""

GROUP_FACTOR = 4
"""Factor between the numbers of groups of two levels."""

MIN_GROUPS = 32
"""Least number of groups of columns at the coarsest level."""

SIDE_UNIT = 64
"""The sides of a block are multiples of this."""

LOWEST_KEY = -(0x7F800001 << 32)
"""Key of -inf in a column after all others: a placeholder for a missing entry."""


def padded_block(rows: int, columns: int, device: str) -> torch.Tensor:
    """Allocate a matrix of -inf for blocks of up to rows x columns.

    Its sides are those of `padded_side`, so that `TopK` can form groups.
    """
    return torch.full([padded_side(rows), padded_side(columns)], -torch.inf, device=device)


def padded_side(size: int) -> int:
    """Return a number of rows or columns that is at least `size`.

    It is a multiple of `SIDE_UNIT` but not of a power of two, with which the rows of a product would compete for the
    same places in the processor's cache.
    """
    units = -(-size // SIDE_UNIT)
    return SIDE_UNIT * (units + (units % 8 == 0))


class TopK:
    """Accumulator of the k largest entries of each row; among equal entries the smaller column comes first.

    An entry is stored as one integer key that sorts as the result does: the score in the upper half, the column,
    counted downwards, in the lower half. To find the few entries of a block that can matter, the columns are combined
    into groups, and those into larger groups. Only groups are searched whose maximum exceeds the least stored entry
    and reaches the k-th largest maximum of the groups, which is a lower bound on the k-th largest entry.

    Args:
        rows: number of rows of the matrix.
        k: number of entries per row.
        device: torch device of the blocks.
    """

    def __init__(self, rows: int, k: int, device: str) -> None:
        self.k = k
        self._keys = torch.full((rows, k), LOWEST_KEY, device=device)
        self._infinity = torch.tensor(torch.inf, device=device)

    def update(self, block: torch.Tensor, rows: slice, first_column: int) -> None:
        """Add a block of columns; the columns of a row must arrive in ascending order.

        Args:
            block: (at least the number of rows, n), from `padded_block`, or its transposed view. Entries of -inf are
                ignored.
            rows: rows of the matrix that the first rows of the block belong to.
            first_column: column of the matrix that the first column of the block belongs to.
        """
        keys = self._keys[rows]
        if self.k <= MAX_ARGMAX_K and block.device.type == "cpu" and block.stride(1) == 1:
            _update_keys_by_argmax(keys, block[: len(keys)], first_column)
            return
        threshold = torch.nextafter(_unpack_scores(keys[:, :1]), self._infinity)
        row, column, values = _candidate_entries(block, threshold, self.k)
        if len(row):
            new_keys = _pack_keys(values, first_column + column)
            self._keys[rows] = _largest_entries(_append_keys(keys, row, new_keys), self.k)

    def best_entries(self, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the score and the column of the largest entry so far of each of some rows."""
        keys = self._keys[rows].amax(dim=1)
        return _unpack_scores(keys), _unpack_columns(keys)

    def merge(self, other: "TopK", rows: slice) -> None:
        """Add the entries of an accumulator of other columns of the same matrix.

        Args:
            other: accumulator of the same k.
            rows: rows of the matrix that its rows are.
        """
        for part in blocks(len(other._keys), 16 * self.k, CACHE_BYTES):
            keys = self._keys[rows][part]
            keys[:] = _largest_entries(torch.cat([keys, other._keys[part]], dim=1), self.k)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the state by name: the keys (rows, k), int64."""
        return {"keys": self._keys}

    def results(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores, float32, and the columns, int32, of all rows, each (rows, k), best first."""
        scores = np.empty(self._keys.shape, dtype=np.float32)
        columns = np.empty(self._keys.shape, dtype=np.int32)
        for rows in blocks(len(scores), 8 * self.k, CACHE_BYTES):
            keys = self._keys[rows].sort(dim=1, descending=True).values
            scores[rows] = _unpack_scores(keys).cpu().numpy()
            columns[rows] = _unpack_columns(keys).cpu().numpy()
        return scores, columns


def _update_keys_by_argmax(keys: torch.Tensor, block: torch.Tensor, first_column: int) -> None:
    """Update keys (rows, k) in place from a block of columns, by passes of NumPy's argmax, which runs at memory speed.

    Only rows with an entry above the least stored one take part in the passes after the first. In a large gallery these
    are few, and they have few such entries: most blocks are read once.
    """
    k, threshold = keys.shape[1], _unpack_scores(keys[:, 0]).numpy()
    scores = np.full(keys.shape, -np.inf, dtype=np.float32)
    columns = np.zeros(keys.shape, dtype=np.int64)
    for start in range(0, len(keys), ARGMAX_CHUNK_ROWS):
        chunk = slice(start, start + ARGMAX_CHUNK_ROWS)
        _find_largest(block[chunk].numpy(), threshold[chunk], scores[chunk], columns[chunk])
    stored = keys.numpy()
    rows = _index_of_true(scores[:, 0] > threshold)
    values = torch.from_numpy(scores[rows])
    new_keys = _pack_keys(values, first_column + torch.from_numpy(columns[rows]))
    new_keys.masked_fill_(values == -torch.inf, LOWEST_KEY)
    stored[rows] = np.partition(np.concatenate([stored[rows], new_keys.numpy()], axis=1), k, axis=1)[:, k:]


def _find_largest(entries: np.ndarray, threshold: np.ndarray, scores: np.ndarray, columns: np.ndarray) -> None:
    """Write the largest entries of each row that has one above its threshold, until no row has further ones.

    Args:
        entries: (rows, n).
        threshold: (rows,).
        scores: (rows, k) for the entries, largest first, the first of equal ones first; changed in place.
        columns: (rows, k) for their columns; changed in place.
    """
    column = entries.argmax(axis=1)
    each = np.arange(len(entries))
    columns[:, 0], scores[:, 0] = column, entries[each, column]
    rows = _index_of_true(scores[:, 0] > threshold)
    entries = entries.copy() if isinstance(rows, slice) else entries[rows]
    threshold, column = threshold[rows], column[rows]
    each = each[: len(entries)]
    for number in range(1, scores.shape[1] if len(entries) else 0):
        entries[each, column] = -np.inf
        column = entries.argmax(axis=1)
        largest = entries[each, column]
        columns[rows, number], scores[rows, number] = column, largest
        if not (largest > threshold).any():
            break


def _index_of_true(mask: np.ndarray) -> slice | np.ndarray:
    """Return an index of the true entries (n,); a slice of all, which is faster, if none is false."""
    return slice(None) if mask.all() else np.flatnonzero(mask)


def _candidate_entries(
    block: torch.Tensor, threshold: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the entries that reach the threshold of their row and may be among its k largest.

    Args:
        block: as in `TopK.update`.
        threshold: (rows, 1) least score of interest.
        k: number of entries per row.

    Returns:
        Row (ascending), column and value of n entries, each (n,).
    """
    levels = _group_maxima(block, max(MIN_GROUPS, round(math.sqrt(block.shape[1] * k) / 2)))
    coarsest = levels.pop()[: len(threshold)].contiguous()
    if k < coarsest.shape[1]:
        threshold = torch.maximum(threshold, _largest_entries(coarsest, k)[:, :1])
    hits = _true_positions(coarsest >= threshold)
    row = hits // coarsest.shape[1]
    column = hits - row * coarsest.shape[1]
    values = _gather_entries(coarsest, row, column)
    for level in reversed(levels):
        offsets = torch.arange(0, level.shape[1], level.shape[1] // GROUP_FACTOR, device=block.device)
        members = column[:, None] + offsets
        values = _gather_entries(level, row[:, None], members)
        hits = _true_positions(values >= threshold[row])
        row, column, values = row[hits // GROUP_FACTOR], members.view(-1)[hits], values.view(-1)[hits]
    return row, column, values


def _group_maxima(block: torch.Tensor, groups: int) -> list[torch.Tensor]:
    """Return the block and the maxima of ever larger groups of its columns.

    Each level has `GROUP_FACTOR` times fewer columns than the level before, but at least `groups`, as long as that
    divides their number. In a level of width w, column c holds the maximum of the columns c, c + w, c + 2w, ... of the
    level before.
    """
    levels = [block]
    while levels[-1].shape[1] >= GROUP_FACTOR * groups and levels[-1].shape[1] % GROUP_FACTOR == 0:
        finer = levels[-1]
        if block.is_contiguous():
            levels.append(finer.unflatten(1, (GROUP_FACTOR, -1)).amax(dim=1))
        else:
            levels.append(finer.T.unflatten(0, (GROUP_FACTOR, -1)).amax(dim=0).T)
    return levels


def _largest_entries(matrix: torch.Tensor, k: int) -> torch.Tensor:
    """Return the k largest entries of each row: the smallest of them first, the others in any order."""
    if matrix.device.type != "cpu":
        return matrix.topk(k, dim=1).values.flip(1)
    split = matrix.shape[1] - k  # NumPy selects with vector instructions, several times faster than torch.topk
    return torch.from_numpy(np.partition(matrix.numpy(), split, axis=1)[:, split:])


def _true_positions(mask: torch.Tensor) -> torch.Tensor:
    """Return the ascending positions of the true entries of a flattened mask."""
    if mask.device.type != "cpu":
        return mask.flatten().nonzero().flatten()
    return torch.from_numpy(np.flatnonzero(mask.numpy()))  # several times faster than torch.nonzero


def _gather_entries(matrix: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    """Return matrix[row, column], several times faster than by that notation."""
    row_stride, column_stride = matrix.stride()
    positions = row * row_stride + column * column_stride
    return matrix.as_strided((matrix.numel(),), (1,)).index_select(0, positions.view(-1)).view(positions.shape)


def _append_keys(keys: torch.Tensor, row: torch.Tensor, new_keys: torch.Tensor) -> torch.Tensor:
    """Append further keys to the rows they belong to.

    Args:
        keys: (rows, k).
        row: (n,) ascending rows of the new keys.
        new_keys: (n,).

    Returns:
        (rows, k + the largest number of new keys in a row), padded with `LOWEST_KEY`.
    """
    count, k = keys.shape
    added = torch.bincount(row, minlength=count)
    position = torch.arange(len(row), device=row.device) - (added.cumsum(0) - added)[row]
    extended = torch.full((count, k + int(added.max())), LOWEST_KEY, device=keys.device)
    extended[:, :k] = keys
    extended[row, k + position] = new_keys
    return extended


def _pack_keys(scores: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Combine float32 scores and column numbers into int64 keys."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 turns -0.0 into the equal 0.0
    return (_order_preserving_bits(bits).to(torch.int64) << 32) | (0xFFFFFFFF - columns)


def _unpack_scores(keys: torch.Tensor) -> torch.Tensor:
    return _order_preserving_bits((keys >> 32).to(torch.int32)).view(torch.float32)


def _unpack_columns(keys: torch.Tensor) -> torch.Tensor:
    return 0xFFFFFFFF - (keys & 0xFFFFFFFF)


def _order_preserving_bits(bits: torch.Tensor) -> torch.Tensor:
    """Convert the bits of float32 numbers to integers of the same order, or back: the function is its own inverse."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)
