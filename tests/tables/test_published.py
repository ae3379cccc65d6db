import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_tables import make_metrics, make_recalls
from overtop.reference.paper import METRIC_SUFFIXES, read_paper_table
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import combine_metrics

BENCHMARKS = {"mscoco": "coco", "flickr30k": "flickr30k", "shapes": None}


@pytest.fixture(scope="module")
def table():
    metrics = make_metrics(
        ("mscoco", "flickr30k", "shapes"), ("published", "corrected"), ("equal_width", "equal_count")
    )
    both = pd.concat([metrics, metrics.assign(positives="extended")], ignore_index=True)
    return combine_metrics([both.assign(architecture="ViT-L-14")])


def test_paper_columns_equal_the_papers_table_in_comparable_rows(table):
    result = PublishedNumbers("table1", BENCHMARKS).add_columns(table)
    source, n_compared = read_paper_table("table1"), 0
    for row in result.to_dict("records"):
        expected = source.value(
            row["estimator"], row["kind"], row["architecture"], BENCHMARKS[row["dataset"]], row["direction"]
        )
        if expected is None or row["binning"] != "equal_width" or row["positives"] != "labelled":
            assert np.isnan([row[f"paper_{name}"] for name in METRIC_SUFFIXES]).all()
            assert np.isnan(row["diff_neg_sr2"])
        else:
            n_compared += 1
            assert [row[f"paper_{name}"] for name in METRIC_SUFFIXES] == list(expected)
            assert row["diff_neg_sr2"] == pytest.approx(row["neg_sr2"] - expected.neg_sr2, abs=1e-6)
    assert n_compared == 2 * 2 * 2 * 5  # data sets, directions, protocols, methods
    pd.testing.assert_frame_equal(result[table.columns], table)


def test_table_without_reference_has_no_paper_columns(table):
    assert list(PublishedNumbers().add_columns(table)) == [*table.columns, "members_off", "members_unchecked"]


def test_paper_numbers_of_table_2_depend_on_the_architecture(table):
    both = pd.concat([table, table.assign(architecture="ViT-B-32", posterior="b32")], ignore_index=True)
    result = PublishedNumbers("table2", BENCHMARKS).add_columns(both)
    rows = result[
        (result["estimator"] == "adversarial_pgd")
        & (result["kind"] == "mc_dropout")
        & (result["dataset"] == "mscoco")
        & (result["direction"] == "i2t")
        & result["paper_neg_sr2"].notna()
    ]
    assert dict(zip(rows["architecture"], rows["paper_neg_sr2"], strict=True)) == {"ViT-L-14": 0.99, "ViT-B-32": 0.91}


def test_members_are_checked_by_data_set(table):
    table = table.assign(members=np.where(table["kind"] == "mc_dropout", "a, b, c", "d"))
    recalls = make_recalls({("mscoco", "a"): 2, ("mscoco", "b"): None, ("mscoco", "c"): -0.6, ("flickr30k", "a"): 0.1})
    result = PublishedNumbers(recalls=recalls).add_columns(table)
    members = result.groupby(["dataset", "kind"])[["members_off", "members_unchecked"]].agg(["nunique", "first"])
    assert (members.xs("nunique", axis=1, level=1) == 1).all(axis=None)
    assert members.xs("first", axis=1, level=1).T.to_dict("list") == {
        ("mscoco", "mc_dropout"): ["a, c", 1],
        ("mscoco", "deterministic"): ["", 1],
        ("flickr30k", "mc_dropout"): ["", 2],
        ("flickr30k", "deterministic"): ["", 1],
        ("shapes", "mc_dropout"): ["", 3],
        ("shapes", "deterministic"): ["", 1],
    }
