import io

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_tables import make_metrics
from overtop.errors import OvertopError
from overtop.storage.tables import write_table
from overtop.tables.rows import COLUMNS, combine_metrics


def test_combine_metrics_sorts_rows_and_columns_independently_of_input_order():
    metrics = make_metrics(("zebra", "shapes"), ("published", "corrected"), ("equal_count", "equal_width"))
    expected = combine_metrics([metrics])
    assert list(expected.columns) == COLUMNS
    parts = [metrics[metrics["dataset"] == "zebra"], metrics[metrics["dataset"] != "zebra"]]
    shuffled = [part.sample(frac=1, random_state=1)[COLUMNS[::-1]] for part in parts]
    pd.testing.assert_frame_equal(combine_metrics(shuffled), expected)
    assert list(expected["dataset"].unique()) == ["zebra", "shapes"]
    assert list(expected["direction"].unique()) == ["t2i", "i2t"]
    assert list(expected["kind"].unique()) == ["deterministic", "mc_dropout"]
    assert list(expected["estimator"].unique()[:2]) == ["top1_similarity", "adversarial_pgd"]
    assert list(expected["protocol"].unique()) == ["corrected", "published"]
    assert list(expected["binning"].unique()) == ["equal_width", "equal_count"]


def test_combine_metrics_appends_further_columns():
    table = combine_metrics([make_metrics().assign(paper_neg_sr2=0.95)])
    assert list(table.columns) == [*COLUMNS, "paper_neg_sr2"]


def test_csv_is_unaffected_by_rounding_noise_and_survives_a_round_trip(tmp_path):
    metrics = make_metrics()
    write_table(tmp_path / "a.csv", combine_metrics([metrics]))
    noisy = metrics.assign(spearman=metrics["spearman"] * (1 + 1e-15), rejection_auc=0.7 - 1e-12)
    write_table(tmp_path / "b.csv", combine_metrics([noisy]))
    text = (tmp_path / "a.csv").read_text()
    assert text == (tmp_path / "b.csv").read_text()
    assert ",0.333333," in text
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), combine_metrics([metrics]), check_dtype=False)


def test_combine_metrics_returns_integer_counts_and_no_negative_zero():
    table = combine_metrics([make_metrics().astype({"n_truncated": "float"}).assign(neg_sr2=-1e-9)])
    assert str(table["n_truncated"].dtype) == "int64"
    assert not np.signbit(table["neg_sr2"]).any()


def test_combine_metrics_rejects_duplicate_rows():
    with pytest.raises(OvertopError, match=r"two rows for dataset=shapes, .*estimator=top1_similarity"):
        combine_metrics([make_metrics(), make_metrics().head(1)])


def test_combine_metrics_rejects_no_rows_and_missing_columns():
    with pytest.raises(OvertopError, match=r"tables\.mine: no rows"):
        combine_metrics([make_metrics().iloc[:0]], "tables.mine")
    with pytest.raises(OvertopError, match="metrics without kind, r2"):
        combine_metrics([make_metrics().drop(columns=["kind", "r2"])])
