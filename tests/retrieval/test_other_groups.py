import numpy as np

from overtop.retrieval.other_groups import MISSING, first_of_other_groups


def positions_by_loop(groups, count):
    """The first position of each group but that of the first item, in order, filled up with `MISSING`."""
    rows = []
    for row in groups.tolist():
        first = {group: position for position, group in reversed(list(enumerate(row))) if group != row[0]}
        rows.append((sorted(first.values()) + [MISSING] * count)[:count])
    return rows


def test_positions_are_those_of_a_loop_over_all_items():
    groups = np.random.default_rng(0).integers(0, 5, size=(200, 8))
    for count in range(7):
        found = first_of_other_groups(groups, count)
        assert found.shape == (200, count)
        assert found.tolist() == positions_by_loop(groups, count)


def test_single_group_has_no_other():
    assert first_of_other_groups(np.array([[3, 3, 3]]), 2).tolist() == [[MISSING, MISSING]]
