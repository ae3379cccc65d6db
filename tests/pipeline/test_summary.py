from helpers.metric_rows import metrics, recalls
from overtop.pipeline import summary
from overtop.pipeline.summary import closing_words
from overtop.storage.files import write_table
from overtop.tables.published import Published
from overtop.tables.rows import tidy


def test_the_summary_names_the_best_method_of_each_panel():
    table = metrics(protocols=("published", "corrected"))
    best = (table["direction"] == "t2i") & (table["estimator"] == "adversarial_pgd") & (table["kind"] == "mc_dropout")
    table.loc[best & (table["protocol"] == "corrected"), "rejection_auc"] = 0.8
    table.loc[best & (table["protocol"] == "published"), "rejection_auc"] = 0.85
    lines = summary(Published().beside(table))
    assert len(lines) == 2
    assert lines[0].startswith("Shapes, text to image (2,000 queries): R@1 0.333; best by rejection: Adversarial (PGD)")
    assert lines[0].endswith("MC dropout, area 0.800 of at most 0.900")


def test_the_closing_words_name_what_is_there(tmp_path):
    (tmp_path / "tables").mkdir()
    write_table(tmp_path / "tables" / "mine.csv", Published().beside(tidy([metrics()])))
    text = closing_words([str(tmp_path / target) for target in ("tables/mine.csv", "figures/gone.pdf")])
    assert "overtop: done." in text
    assert "mine.csv" in text
    assert "R@1 0.333" in text
    assert "gone" not in text


def test_encoders_that_are_off_are_told(tmp_path):
    (tmp_path / "tables").mkdir()
    published = Published(recalls=recalls({("shapes", "mc_dropout-0"): 3.0, ("shapes", "deterministic-0"): 0.1}))
    write_table(tmp_path / "tables" / "mine.csv", published.beside(tidy([metrics(("shapes", "coco"))])))
    text = closing_words([str(tmp_path / "tables" / "mine.csv")])
    assert [line for line in text.splitlines() if "Beware" in line] == [
        "    Beware, Shapes: recall is not what is published for mc_dropout-0; see members"
    ]
