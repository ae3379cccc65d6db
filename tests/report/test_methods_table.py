import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_tables import make_metrics, make_recalls
from overtop.config.evaluation import BootstrapSpec, EvaluationSpec
from overtop.report.methods_table import methods_tables
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import combine_metrics

REFERENCE = "Top-1 similarity"


def make_table(published=None, datasets=("mscoco",), **columns):
    metrics = make_metrics(datasets, ("published", "corrected"), ("equal_width", "equal_count"))
    both = pd.concat([metrics, metrics.assign(positives="extended")], ignore_index=True)
    table = combine_metrics([both.assign(**{"architecture": "ViT-L-14"} | columns)])
    return (published or PublishedNumbers()).add_columns(table)


def show(table, published=None, level=0.95):
    spec = EvaluationSpec(bootstrap=BootstrapSpec(level=level))
    return methods_tables("t", table, published or PublishedNumbers(), spec)


def test_rows_of_each_direction_begin_with_the_smallest_aurc():
    (table,) = show(make_table(datasets=("shapes", "mscoco")))
    panels = table.rows["panel"]
    directions = ("text to image", "image to text")
    assert list(dict.fromkeys(panels)) == [f"{name}, {d}" for name in ("Shapes", "MSCOCO") for d in directions]
    for panel in set(panels):
        aurc = [cell[0] for cell, own in zip(table.rows["aurc"], panels, strict=True) if own == panel]
        assert aurc == sorted(aurc)
        assert len(aurc) == 5


def test_cells_are_the_numbers_of_the_csv():
    source = make_table().query("protocol == 'corrected' and binning == 'equal_width' and positives == 'labelled'")
    (table,) = show(make_table())
    for name in ("recall_at_1", "aurc", "neg_sr2"):
        expected = {tuple(row) for row in source[[name, f"{name}_low", f"{name}_high"]].to_numpy().tolist()}
        assert set(table.rows[name]) == expected
    assert [column.key for column in table.columns] == list(table.rows)
    assert table.rows["n_queries"] == [2000] * 5 + [400] * 5


def test_undefined_number_is_none():
    (table,) = show(make_table(neg_sr2=np.nan, neg_sr2_low=np.nan, neg_sr2_high=np.nan))
    assert set(table.rows["neg_sr2"]) == {(None, None, None)}


def test_note_states_the_level_of_the_intervals():
    (table,) = show(make_table(), level=0.9)
    assert table.note.startswith("In brackets: 90 % bootstrap intervals")


def test_star_marks_significant_differences():
    (table,) = show(make_table(p_holm=0.04))
    assert set(table.rows["starred"]) == {True}
    meaning = next(column.meaning for column in table.columns if column.key == "starred")
    assert meaning.startswith(f"AURC differs from that of {REFERENCE}")
    (table,) = show(make_table(p_holm=np.nan))
    assert set(table.rows["starred"]) == {False}


def test_papers_numbers_are_beside_ours_in_both_protocols():
    published = PublishedNumbers("table1", {"mscoco": "coco"})
    tables = show(make_table(published), published)
    assert [table.name for table in tables] == ["t-corrected", "t-published"]
    for table in tables:
        keys = [column.key for column in table.columns]
        for name in ("spearman", "r2", "neg_sr2"):
            assert keys.index(f"paper_{name}") == keys.index(name) + 1
        assert "Table 1 of Gomez (2025; ViT-L/14" in table.note
        assert sum(value is not None for value in table.rows["paper_neg_sr2"]) == 10


def test_table_without_reference_has_only_the_corrected_protocol():
    (table,) = show(make_table())
    assert table.name == "t-corrected"
    assert not [column for column in table.columns if column.kind == "paper"]


def test_encoders_whose_recall_is_off_are_marked_and_named():
    recalls = make_recalls({("mscoco", "deterministic-0"): 0.0, ("mscoco", "mc_dropout-0"): -3.0})
    published = PublishedNumbers(None, {}, recalls)
    (table,) = show(make_table(published), published)
    assert set(table.rows["posterior"]) == {"deterministic", "MC dropout†"}
    assert "mc_dropout-0 (text to image R@5 -3.0)" in table.note


@pytest.mark.parametrize("positives", ["labelled", "extended"])
def test_labelled_positives_are_shown_where_there_are_some(positives):
    table = make_table()
    (shown,) = show(table[table["positives"].isin([positives, "extended"])])
    assert shown.title == f"t: corrected protocol; bins of equal width; {positives} positives"
