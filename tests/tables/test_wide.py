import pytest

from metric_rows import metrics
from overtop.errors import OvertopError
from overtop.tables import MEASURES, tidy, wide


def test_wide_is_the_layout_of_the_paper():
    table = tidy([metrics(("coco", "flickr30k"))])
    grid = wide(table)
    assert list(grid.index) == [
        ("top1_similarity", "my-deterministic"),
        ("adversarial_pgd", "my-deterministic"),
        ("top1_similarity", "my-mc_dropout"),
        ("top1_consistency", "my-mc_dropout"),
        ("adversarial_pgd", "my-mc_dropout"),
    ]
    assert list(grid.columns) == [(d, w, m) for d in ("coco", "flickr30k") for w in ("i2t", "t2i") for m in MEASURES]


def test_wide_cells_are_the_rows_of_the_long_table():
    table = tidy([metrics(("coco", "flickr30k"))])
    for end in ("", "_low", "_high"):
        grid = wide(table, end)
        for row in table.itertuples():
            for measure in MEASURES:
                cell = grid.loc[(row.estimator, row.posterior), (row.dataset, row.direction, measure)]
                assert cell == getattr(row, measure + end)
        assert grid.notna().sum().sum() == len(MEASURES) * len(table)


def test_wide_leaves_a_hole_for_what_was_not_run():
    table = tidy([metrics(("coco", "flickr30k"))])
    gone = (table["dataset"] == "coco") & (table["estimator"] == "adversarial_pgd")
    grid = wide(table[~gone])
    assert grid.loc["adversarial_pgd", "coco"].isna().all(axis=None)
    assert grid.loc["adversarial_pgd", "flickr30k"].notna().all(axis=None)


def test_wide_refuses_two_protocols():
    with pytest.raises(OvertopError, match="protocol: a wide table shows one value, not corrected, published"):
        wide(tidy([metrics(protocols=("published", "corrected"))]))
