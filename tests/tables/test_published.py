import numpy as np
import pandas as pd
import pytest

from helpers.metric_rows import metrics, recalls
from overtop.reference.paper import PAPER, paper_table
from overtop.tables.published import Published
from overtop.tables.rows import tidy

BENCHMARKS = {"mscoco": "coco", "flickr30k": "flickr30k", "shapes": None}


@pytest.fixture(scope="module")
def table():
    given = metrics(("mscoco", "flickr30k", "shapes"), ("published", "corrected"), ("equal_width", "equal_count"))
    extended = given.assign(positives="extended")
    return tidy([pd.concat([given, extended], ignore_index=True).assign(architecture="ViT-L-14")])


def test_the_papers_numbers_beside_ours(table):
    found = Published("table1", BENCHMARKS).beside(table)
    source, seen = paper_table("table1"), 0
    for row in found.to_dict("records"):
        expected = source.value(
            row["estimator"], row["kind"], row["architecture"], BENCHMARKS[row["dataset"]], row["direction"]
        )
        if expected is None or row["binning"] != "equal_width" or row["positives"] != "labelled":
            assert np.isnan([row[f"paper_{name}"] for name in PAPER]).all()
            assert np.isnan(row["diff_neg_sr2"])
        else:
            seen += 1
            assert [row[f"paper_{name}"] for name in PAPER] == list(expected)
            assert row["diff_neg_sr2"] == pytest.approx(row["neg_sr2"] - expected.neg_sr2, abs=1e-6)
    assert seen == 2 * 2 * 2 * 5  # data sets, directions, protocols, methods
    pd.testing.assert_frame_equal(found[table.columns], table)


def test_no_reference_no_columns(table):
    assert list(Published().beside(table)) == [*table.columns, "members_off", "members_unchecked"]


def test_table_2_tells_architectures_apart(table):
    both = pd.concat([table, table.assign(architecture="ViT-B-32", posterior="b32")], ignore_index=True)
    found = Published("table2", BENCHMARKS).beside(both)
    kept = found[
        (found["estimator"] == "adversarial_pgd")
        & (found["kind"] == "mc_dropout")
        & (found["dataset"] == "mscoco")
        & (found["direction"] == "i2t")
        & found["paper_neg_sr2"].notna()
    ]
    assert dict(zip(kept["architecture"], kept["paper_neg_sr2"], strict=True)) == {"ViT-L-14": 0.99, "ViT-B-32": 0.91}


def test_members_by_data_set(table):
    ours = table.assign(members=np.where(table["kind"] == "mc_dropout", "a, b, c", "d"))
    found = Published(
        recalls=recalls({("mscoco", "a"): 2, ("mscoco", "b"): None, ("mscoco", "c"): -0.6, ("flickr30k", "a"): 0.1})
    ).beside(ours)
    said = found.groupby(["dataset", "kind"])[["members_off", "members_unchecked"]].agg(["nunique", "first"])
    assert (said.xs("nunique", axis=1, level=1) == 1).all(axis=None)
    assert said.xs("first", axis=1, level=1).T.to_dict("list") == {
        ("mscoco", "mc_dropout"): ["a, c", 1],
        ("mscoco", "deterministic"): ["", 1],
        ("flickr30k", "mc_dropout"): ["", 2],
        ("flickr30k", "deterministic"): ["", 1],
        ("shapes", "mc_dropout"): ["", 3],
        ("shapes", "deterministic"): ["", 1],
    }
