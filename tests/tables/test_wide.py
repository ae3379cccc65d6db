import pytest

from helpers.metric_rows import metrics
from overtop.errors import OvertopError
from overtop.tables.published import Published
from overtop.tables.rows import tidy
from overtop.tables.wide import MEASURES, wide


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


def test_wide_of_the_papers_numbers():
    table = tidy([metrics(("mscoco",))]).assign(architecture="ViT-L-14")
    assert wide(table, "paper_").isna().all(axis=None)
    grid = wide(Published("table1", {"mscoco": "coco"}).beside(table), "paper_")
    row = grid.loc["adversarial_pgd", "my-mc_dropout"]["mscoco", "i2t"]
    assert row[["spearman", "r2", "neg_sr2"]].tolist() == [-1.00, 0.99, 0.99]
    assert row[["aurc"]].isna().all()


def test_wide_leaves_a_hole_for_what_was_not_run():
    table = tidy([metrics(("coco", "flickr30k"))])
    gone = (table["dataset"] == "coco") & (table["estimator"] == "adversarial_pgd")
    grid = wide(table[~gone])
    assert grid.loc["adversarial_pgd", "coco"].isna().all(axis=None)
    assert grid.loc["adversarial_pgd", "flickr30k"].notna().all(axis=None)


def test_wide_refuses_two_protocols():
    with pytest.raises(OvertopError, match="protocol: a wide table shows one value, not corrected, published"):
        wide(tidy([metrics(protocols=("published", "corrected"))]))
