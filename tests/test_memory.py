from overtop.memory import blocks


def test_blocks_cover_all_items_within_the_budget():
    assert list(blocks(10, bytes_each=8, budget=35)) == [slice(0, 4), slice(4, 8), slice(8, 10)]


def test_blocks_hold_at_least_one_item():
    assert list(blocks(2, bytes_each=100, budget=1)) == [slice(0, 1), slice(1, 2)]


def test_no_items_give_no_blocks():
    assert list(blocks(0, bytes_each=8, budget=35)) == []
