import pytest

from helpers.synthetic_tables import make_metrics
from overtop.errors import OvertopError
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import combine_metrics
from overtop.tables.wide import MEASURES, wide_table


def test_wide_table_has_the_layout_of_the_paper():
    grid = wide_table(combine_metrics([make_metrics(("coco", "flickr30k"))]))
    assert list(grid.index) == [
        ("top1_similarity", "my-deterministic"),
        ("adversarial_pgd", "my-deterministic"),
        ("top1_similarity", "my-mc_dropout"),
        ("top1_consistency", "my-mc_dropout"),
        ("adversarial_pgd", "my-mc_dropout"),
    ]
    assert list(grid.columns) == [(d, w, m) for d in ("coco", "flickr30k") for w in ("i2t", "t2i") for m in MEASURES]


@pytest.mark.parametrize("suffix", ["", "_low", "_high"])
def test_wide_table_contains_every_number_of_the_long_table(suffix):
    table = combine_metrics([make_metrics(("coco", "flickr30k"))])
    grid = wide_table(table, suffix=suffix)
    for row in table.itertuples():
        for measure in MEASURES:
            cell = grid.loc[(row.estimator, row.posterior), (row.dataset, row.direction, measure)]
            assert cell == getattr(row, measure + suffix)
    assert grid.notna().sum().sum() == len(MEASURES) * len(table)


def test_wide_table_shows_the_papers_numbers():
    table = combine_metrics([make_metrics(("mscoco",))]).assign(architecture="ViT-L-14")
    assert wide_table(table, prefix="paper_").isna().all(axis=None)
    grid = wide_table(PublishedNumbers("table1", {"mscoco": "coco"}).add_columns(table), prefix="paper_")
    row = grid.loc["adversarial_pgd", "my-mc_dropout"]["mscoco", "i2t"]
    assert row[["spearman", "r2", "neg_sr2"]].tolist() == [-1.00, 0.99, 0.99]
    assert row[["aurc"]].isna().all()


def test_wide_table_is_nan_where_a_method_was_not_run():
    table = combine_metrics([make_metrics(("coco", "flickr30k"))])
    missing = (table["dataset"] == "coco") & (table["estimator"] == "adversarial_pgd")
    grid = wide_table(table[~missing])
    assert grid.loc["adversarial_pgd", "coco"].isna().all(axis=None)
    assert grid.loc["adversarial_pgd", "flickr30k"].notna().all(axis=None)


def test_wide_table_rejects_two_protocols():
    with pytest.raises(OvertopError, match="protocol: a wide table shows one value, not corrected, published"):
        wide_table(combine_metrics([make_metrics(protocols=("published", "corrected"))]))
