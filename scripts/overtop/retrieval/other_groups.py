"""Where the best items of other groups than that of the top-1 are among the best items of a query."""

import numpy as np

MISSING = -1
"""Placeholder for a rival that is not among the items of a ranking."""


def first_of_other_groups(groups: np.ndarray, count: int) -> np.ndarray:
    """Return the position of the first item of each of the first other groups than that of the first item.

    Args:
        groups: (Q, K) group of each of the best items, best first.
        count: R, number of other groups.

    Returns:
        (Q, R) positions from 1 to K - 1, ascending; `MISSING` where there are fewer other groups.

    Example:
        >>> first_of_other_groups(np.array([[7, 7, 3, 5, 3]]), 3).tolist()
        [[2, 3, -1]]
    """
    positions = np.full((len(groups), count), MISSING)
    rows, is_other = np.arange(len(groups)), groups != groups[:, :1]
    for number in range(count):
        position = is_other.argmax(axis=1)
        found = is_other[rows, position]
        positions[found, number] = position[found]
        is_other &= groups != groups[rows, position][:, None]
    return positions
