from metric_rows import metrics
from overtop.files import write_table
from overtop.tables import closing_words, summary, tidy


def test_the_summary_names_the_best_method_of_each_panel():
    table = metrics(protocols=("published", "corrected"))
    best = (table["direction"] == "t2i") & (table["estimator"] == "adversarial_pgd") & (table["kind"] == "mc_dropout")
    table.loc[best & (table["protocol"] == "corrected"), "rejection_auc"] = 0.8
    table.loc[best & (table["protocol"] == "published"), "rejection_auc"] = 0.85
    lines = summary(table)
    assert len(lines) == 2
    assert lines[0].startswith("Shapes, text to image (2,000 queries): R@1 0.333; best by rejection: Adversarial (PGD)")
    assert lines[0].endswith("MC dropout, area 0.800 of at most 0.900")


def test_the_closing_words_name_what_is_there(tmp_path):
    (tmp_path / "tables").mkdir()
    write_table(tmp_path / "tables" / "mine.csv", tidy([metrics()]))
    text = closing_words([str(tmp_path / "tables" / "mine.csv"), str(tmp_path / "figures" / "gone.pdf")])
    assert "overtop: done." in text
    assert "mine.csv" in text
    assert "R@1 0.333" in text
    assert "gone" not in text
