import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_tables import make_metrics, make_recalls
from overtop.pipeline.summary import summarise_run, summarise_table
from overtop.storage.tables import write_table
from overtop.tables.published import PublishedNumbers
from overtop.tables.rows import combine_metrics


def make_table(**columns):
    """Return a table in which all AUROC are above chance, with `columns` replaced."""
    table = make_metrics(protocols=("published", "corrected"), binnings=("equal_width", "equal_count"))
    table = table.assign(**{"auroc": 0.7, "auroc_low": 0.65, "auroc_high": 0.75} | columns)
    return PublishedNumbers().add_columns(table)


def test_summary_of_a_transfer_study_is_that_of_its_measures_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = {"dataset": "shapes", "direction": "t2i", "estimator": "max_softmax", "fit": "labelled"}
    row |= {"overconfidence": 0.1, "overconfidence_low": 0.05, "overconfidence_high": 0.15}
    for name in ("x.csv", "x-bins.csv"):
        write_table(f"results/transfers/{name}", pd.DataFrame([row]))
    assert summarise_run(["results/transfers/x.csv", "results/transfers/x-bins.csv"]) == [
        "  results/transfers/x.csv",
        "    Text to image, Max softmax: mean probability minus share of right answers: Shapes +0.100 [0.050, 0.150]",
        "  results/transfers/x-bins.csv",
    ]


def test_summary_of_operating_points_tells_how_many_queries_are_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = {"direction": "t2i", "estimator": "max_softmax", "protocol": "corrected", "positives": "labelled"}
    row |= {"form": "guaranteed_precision", "target": 0.9, "n_validation": 97, "n_needed": 470.0, "threshold": -np.inf}
    write_table("results/operating/mine/test/clip.csv", pd.DataFrame([row]))
    summary = str(summarise_run(["results/operating/mine/test/clip.csv"]))
    assert "cannot be guaranteed by 97 validation queries; at least about 470 are needed" in summary


def test_summary_shows_first_posterior_and_declared_estimators_with_intervals():
    table = make_table()
    table.loc[table["posterior"] == "my-mc_dropout", "recall_at_1"] = 0.9  # better, but not declared first
    lines = summarise_table(table)
    assert lines == [
        "Shapes, text to image (2,000 queries), deterministic",
        "  0.333 [0.233, 0.433]  R@1",
        "  0.700 [0.650, 0.750]  AUROC of finding misses by Top-1 similarity",
        "Shapes, image to text (400 queries), deterministic",
        "  0.333 [0.233, 0.433]  R@1",
        "  0.700 [0.650, 0.750]  AUROC of finding misses by Top-1 similarity",
        "These are the first of 2 posteriors; the table has all of them.",
    ]


def test_corrected_protocol_and_labelled_positives_are_preferred():
    preferred = make_table().query("protocol == 'corrected'")
    published = preferred.assign(protocol="published", recall_at_1=0.6)
    extended = preferred.assign(positives="extended", recall_at_1=0.5)
    assert summarise_table(pd.concat([published, extended, preferred]))[1].startswith("  0.333 ")
    assert summarise_table(published)[1].startswith("  0.600 ")
    assert summarise_table(extended)[1].startswith("  0.500 ")


@pytest.mark.parametrize(("low", "high", "shown"), [(-0.1, 0.01, True), (-0.1, -0.01, False), (0.01, 0.1, False)])
def test_estimators_with_difference_around_zero_are_not_distinguishable(low, high, shown):
    table = make_table()
    table.loc[table["estimator"] == "top1_similarity", ["aurc_diff", "aurc_diff_low", "aurc_diff_high"]] = np.nan
    softmax = table["estimator"] == "adversarial_pgd"
    table.loc[softmax, "estimator"] = "max_softmax"
    table.loc[softmax, ["aurc_diff_low", "aurc_diff_high"]] = low, high
    lines = summarise_table(table)
    assert [line for line in lines if "Max softmax" in line] == 2 * [
        "  0.700 [0.650, 0.750]  AUROC of finding misses by Max softmax" + (" *" if shown else "")
    ]
    assert ("* by AURC not distinguishable from the reference" in lines) == shown


def test_auroc_interval_that_reaches_chance_is_a_warning():
    table = make_table()
    chance = (table["estimator"] == "adversarial_pgd") & (table["direction"] == "t2i")
    table.loc[chance, "auroc_low"] = 0.5
    assert [line for line in summarise_table(table) if "Warning" in line] == [
        "Warning, Shapes, text to image: not better than chance at finding misses (AUROC interval reaches 0.5): "
        "Adversarial (PGD) (deterministic), Adversarial (PGD) (MC dropout)"
    ]
    warnings = [line for line in summarise_table(make_table(auroc_low=0.4)) if "Warning" in line]
    assert len(warnings) == 2
    assert all(line.endswith("and 1 more") for line in warnings)


def test_recall_at_chance_is_one_warning_and_none_about_its_auroc():
    table = make_table(auroc_low=0.4)
    table.loc[table["posterior"] == "my-mc_dropout", "recall_at_1_low"] = 1 / 400
    for line in (0, 2):
        warning = [line for line in summarise_table(table) if "Warning" in line][line]
        assert warning.endswith("R@1 is not above chance (1 in 400), so the other measures mean nothing: MC dropout")
    others = [line for line in summarise_table(table) if "AUROC interval" in line]
    assert len(others) == 2
    assert not any("MC dropout" in line for line in others)


def test_summary_lists_only_existing_targets(tmp_path):
    (tmp_path / "results/tables").mkdir(parents=True)
    write_table(tmp_path / "results/tables/mine.csv", PublishedNumbers().add_columns(combine_metrics([make_metrics()])))
    (tmp_path / "results/page.html").touch()
    targets = ("results/page.html", "results/figures/gone.pdf", "results/tables/mine.csv")
    lines = summarise_run([str(tmp_path / target) for target in targets])
    assert lines[0] == f"  {tmp_path}/results/tables/mine.csv"
    assert lines[2].endswith("  R@1")
    assert lines[-1] == f"  {tmp_path}/results/page.html, open it in a browser"
    assert not [line for line in lines if "gone" in line]


def test_summary_of_a_study_shows_accuracies_and_failed_checks(tmp_path):
    study = tmp_path / "results/robustness/mine.csv"
    view = {"dataset": "shapes", "model": "CLIP", "view": "clean", "measure": "accuracy"}
    write_table(study, pd.DataFrame([view | {"value": 0.8, "value_low": 0.75, "value_high": 0.85}]))
    check = {"check": "steps", "dataset": "shapes", "model": "CLIP", "result": "failed", "detail": "a 1.0%, b 3.0%"}
    write_table(study.with_name("mine-checks.csv"), pd.DataFrame([check, check | {"result": "passed"}]))
    lines = summarise_run([str(study), str(study.with_name("mine-checks.csv"))])
    assert lines[1:3] == [
        "    Shapes, CLIP: accuracy in percent clean 80.0 [75.0, 85.0]",
        "    Warning, the attacks may be too weak: Shapes, CLIP: not true that more steps never help the defender: "
        "a 1.0%, b 3.0%",
    ]
    assert lines[3].endswith("mine-checks.csv")
    assert len(lines) == 4


def test_encoders_with_different_recall_are_reported(tmp_path):
    (tmp_path / "results/tables").mkdir(parents=True)
    published = PublishedNumbers(
        recalls=make_recalls({("shapes", "mc_dropout-0"): 3.0, ("shapes", "deterministic-0"): 0.1})
    )
    write_table(
        tmp_path / "results/tables/mine.csv", published.add_columns(combine_metrics([make_metrics(("shapes", "coco"))]))
    )
    lines = summarise_run([str(tmp_path / "results/tables/mine.csv")])
    assert [line for line in lines if "recall differs" in line] == [
        "    Warning, Shapes: recall differs from the published one for mc_dropout-0; see results/members"
    ]
