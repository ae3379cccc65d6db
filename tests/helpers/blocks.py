"""A matrix cut into the blocks in which the ranking pass produces similarities."""

import torch

from overtop.retrieval.topk import padded_block


def iterate_blocks(matrix, size, transposed=False):
    """Yield blocks of `size` columns, each in two halves of the rows.

    Args:
        matrix: float32 array.
        size: largest number of columns of a block.
        transposed: lay out the memory of a block by columns.

    Yields:
        (padded block, its part without padding, slice of rows, first column).
    """
    rows, columns = matrix.shape
    for first_column in range(0, columns, size):
        for half in (slice(0, rows // 2), slice(rows // 2, rows)):
            entries = torch.from_numpy(matrix[half, first_column : first_column + size])
            if len(entries):
                block = padded_block(*(entries.T if transposed else entries).shape, "cpu")
                block = block.T if transposed else block
                unpadded = block[: entries.shape[0], : entries.shape[1]]
                unpadded.copy_(entries)
                yield block, unpadded, half, first_column
