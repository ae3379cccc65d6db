from helpers.synthetic_tables import make_metrics, make_recalls
from overtop.pipeline.summary import summarise_run, summarise_table
from overtop.storage.files import write_table
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import combine_metrics


def test_summary_names_best_method_of_each_panel():
    table = make_metrics(protocols=("published", "corrected"))
    best = (table["direction"] == "t2i") & (table["estimator"] == "adversarial_pgd") & (table["kind"] == "mc_dropout")
    table.loc[best & (table["protocol"] == "corrected"), "rejection_auc"] = 0.8
    table.loc[best & (table["protocol"] == "published"), "rejection_auc"] = 0.85
    lines = summarise_table(PublishedNumbers().add_columns(table))
    assert len(lines) == 2
    assert lines[0].startswith("Shapes, text to image (2,000 queries): R@1 0.333; best by rejection: Adversarial (PGD)")
    assert lines[0].endswith("MC dropout, area 0.800 (upper bound 0.900)")


def test_summary_lists_only_existing_targets(tmp_path):
    (tmp_path / "results/tables").mkdir(parents=True)
    write_table(tmp_path / "results/tables/mine.csv", PublishedNumbers().add_columns(combine_metrics([make_metrics()])))
    text = summarise_run([str(tmp_path / target) for target in ("results/tables/mine.csv", "results/figures/gone.pdf")])
    assert "overtop: done." in text
    assert "mine.csv" in text
    assert "R@1 0.333" in text
    assert "gone" not in text


def test_encoders_with_different_recall_are_reported(tmp_path):
    (tmp_path / "results/tables").mkdir(parents=True)
    published = PublishedNumbers(
        recalls=make_recalls({("shapes", "mc_dropout-0"): 3.0, ("shapes", "deterministic-0"): 0.1})
    )
    write_table(
        tmp_path / "results/tables/mine.csv", published.add_columns(combine_metrics([make_metrics(("shapes", "coco"))]))
    )
    text = summarise_run([str(tmp_path / "results/tables/mine.csv")])
    assert [line for line in text.splitlines() if "Warning" in line] == [
        "    Warning, Shapes: recall differs from the published one for mc_dropout-0; see results/members"
    ]
