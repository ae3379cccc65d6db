import io

import numpy as np
import pandas as pd
import pytest

from helpers.metric_rows import metrics
from overtop.errors import OvertopError
from overtop.storage.files import write_table
from overtop.tables.rows import COLUMNS, tidy


def test_tidy_puts_rows_and_columns_in_order_whatever_order_they_come_in():
    given = metrics(("zebra", "shapes"), ("published", "corrected"), ("equal_count", "equal_width"))
    expected = tidy([given])
    assert list(expected.columns) == COLUMNS
    rest = given[given["dataset"] != "zebra"]
    shuffled = [f.sample(frac=1, random_state=1)[COLUMNS[::-1]] for f in (given[given["dataset"] == "zebra"], rest)]
    pd.testing.assert_frame_equal(tidy(shuffled), expected)
    assert list(expected["dataset"].unique()) == ["zebra", "shapes"]
    assert list(expected["direction"].unique()) == ["t2i", "i2t"]
    assert list(expected["kind"].unique()) == ["deterministic", "mc_dropout"]
    assert list(expected["estimator"].unique()[:2]) == ["top1_similarity", "adversarial_pgd"]
    assert list(expected["protocol"].unique()) == ["corrected", "published"]
    assert list(expected["binning"].unique()) == ["equal_width", "equal_count"]


def test_tidy_keeps_further_columns_behind_ours():
    table = tidy([metrics().assign(paper_neg_sr2=0.95)])
    assert list(table.columns) == [*COLUMNS, "paper_neg_sr2"]


def test_csv_is_stable_and_survives_a_round_trip(tmp_path):
    given = metrics()
    write_table(tmp_path / "a.csv", tidy([given]))
    noisy = given.assign(spearman=given["spearman"] * (1 + 1e-15), rejection_auc=0.7 - 1e-12)
    write_table(tmp_path / "b.csv", tidy([noisy]))
    text = (tmp_path / "a.csv").read_text()
    assert text == (tmp_path / "b.csv").read_text()
    assert ",0.333333," in text
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), tidy([given]), check_dtype=False)


def test_counts_stay_whole_and_zero_has_no_sign():
    table = tidy([metrics().astype({"n_truncated": "float"}).assign(neg_sr2=-1e-9)])
    assert str(table["n_truncated"].dtype) == "int64"
    assert not np.signbit(table["neg_sr2"]).any()


def test_duplicates_are_refused_by_name():
    with pytest.raises(OvertopError, match=r"two rows for dataset=shapes, .*estimator=top1_similarity"):
        tidy([metrics(), metrics().head(1)])


def test_nothing_and_missing_columns_are_refused():
    with pytest.raises(OvertopError, match="no rows"):
        tidy([metrics().iloc[:0]])
    with pytest.raises(OvertopError, match="without kind, r2"):
        tidy([metrics().drop(columns=["kind", "r2"])])
