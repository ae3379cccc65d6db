import numpy as np
import pandas as pd
import pytest

from overtop.config.attacks import GradientAttack, LibraryAttack, WorstCaseAttack
from overtop.evaluation.attack_checks import COLUMNS as CHECK_COLUMNS
from overtop.evaluation.robustness import COLUMNS
from overtop.reference.ucat import DATASETS
from overtop.tables.attack_checks import checks_to_markdown, failed_checks, failures_to_markdown
from overtop.tables.published_accuracies import add_paper_columns, comparison_note, paper_column
from overtop.tables.robustness import (
    RobustnessTable,
    format_percent,
    robustness_summary,
    robustness_to_latex,
    robustness_to_markdown,
)

ATTACKS = {
    "pgd": GradientAttack(kind="pgd", epsilon=1),
    "pgd-10": GradientAttack(kind="pgd", epsilon=1, steps=10),
    "pgd-2": GradientAttack(kind="pgd", epsilon=2),
    "cw": GradientAttack(kind="cw", epsilon=1),
    "ce": LibraryAttack(kind="apgd-ce", epsilon=1),
    "ce-2": LibraryAttack(kind="apgd-ce", epsilon=2),
    "dlr": LibraryAttack(kind="apgd-dlr", epsilon=1),
    "t": LibraryAttack(kind="apgd-t", epsilon=1),
    "aa": WorstCaseAttack(kind="worst", of=["ce", "dlr"]),
    "aa-t": WorstCaseAttack(kind="worst", of=["ce", "t"]),
    "aa-2": WorstCaseAttack(kind="worst", of=["ce-2", "dlr"]),
}
CHECKS = pd.DataFrame(
    [
        ("undefended", "shapes", "A_B", "failed", "pgd (epsilon 1/255) leaves 23.0%"),
        ("epsilon", "shapes", "A_B", "passed", "clean 90.0%, pgd 23.0%"),
        ("steps", "shapes", "A_B", "not applicable", "no attacks to compare"),
    ],
    columns=CHECK_COLUMNS,
)


def make_rows(datasets=("shapes",), **numbers):
    """Two models under one attack; the second has three encoders."""
    rows = [
        {
            "dataset": dataset, "model": model, "view": view, "measure": "accuracy", "n_seeds": seeds, "n_images": 400,
            "value": value, "value_low": value - 0.05, "value_high": value + 0.05, "value_sd": sd,
            "harmonic": np.nan if view == "clean" else 0.4, "harmonic_low": 0.3, "harmonic_high": 0.5,
            "difference": difference, "difference_low": difference - 0.1, "difference_high": difference + 0.1,
        }
        for dataset in datasets
        for model, seeds, sd in (("A_B", 1, np.nan), ("C", 3, 0.012))
        for view, value, difference in (
            ("clean", 0.8, np.nan if model == "A_B" else 0.05), ("pgd", 0.3, np.nan if model == "A_B" else -0.2)
        )
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS).assign(paper_value=np.nan, paper_harmonic=np.nan, **numbers)


def make_table(rows=None, checks=CHECKS):
    rows = make_rows() if rows is None else rows
    return RobustnessTable("mine", rows, {"pgd": "PGD, 100 steps"}, ["pgd"], checks, "A_B", ["A note."])


def test_cells_have_interval_deviation_star_and_bold():
    text = robustness_to_markdown(make_table()).replace("\N{NO-BREAK SPACE}", " ")
    lines = [line for line in text.splitlines() if line.startswith(("| A", "| C", "| M"))]
    assert lines[0] == "| Model | clean | pgd | H(pgd) |"
    assert lines[1] == "| A\\_B | **80.0**<br>[75.0, 85.0] | **30.0**<br>[25.0, 35.0] | **40.0**<br>[30.0, 50.0] |"
    assert lines[2] == (
        "| C | **80.0**<br>[75.0, 85.0], sd 1.2 | **30.0**\\*<br>[25.0, 35.0], sd 1.2 | **40.0**<br>[30.0, 50.0] |"
    )


def test_only_the_best_number_of_a_column_is_bold():
    rows = make_rows()
    rows.loc[(rows["model"] == "C") & (rows["view"] == "pgd"), "value"] = 0.3004  # shown as 30.0
    rows.loc[(rows["model"] == "C") & (rows["view"] == "clean"), "value"] = 0.7
    text = robustness_to_markdown(make_table(rows))
    assert "**80.0**" in text
    assert "**70.0**" not in text
    assert text.count("**30.0**") == 2


def test_failed_checks_come_first_and_are_counted():
    text = robustness_to_markdown(make_table())
    first = "- Shapes, A\\_B: not true that the undefended model falls to near 0 at the training epsilon: pgd (epsilon"
    assert text.split("\n## ")[0].splitlines()[2].startswith(first)
    assert "| Accuracy does not rise with epsilon | 1 | 0 | 0 |" in text
    assert "| More steps never help the defender | 0 | 0 | 1 |" in checks_to_markdown(CHECKS)
    passed = CHECKS[CHECKS["result"] != "failed"]
    assert failures_to_markdown(passed) == "All 1 sanity checks of the attacks that apply passed."
    assert failed_checks(passed) == []


def test_average_comes_first_and_counts_data_sets():
    text = robustness_to_markdown(make_table(make_rows(("shapes", "stl10", "average"))))
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[:3] == ["## Average over 2 data sets (400 images)", "## Shapes (400 images)", "## Stl10 (400 images)"]


def test_caption_explains_seeds_only_if_there_are_several():
    assert "(1 or 3 per model)" in make_table().caption()
    assert "seed" not in make_table(make_rows(n_seeds=1)).caption()
    assert make_table().caption().endswith("A note.")


def test_latex_has_a_table_per_data_set_with_one_full_caption():
    text = robustness_to_latex(make_table(make_rows(("shapes", "stl10"))))
    assert text.count(r"\begin{table*}") == text.count(r"\bottomrule") == 2
    assert text.count("PGD, 100 steps") == 1
    assert r"Stl10 (400 images). As Table~\ref{tab:mine-shapes}." in text
    assert r"\label{tab:mine-shapes}" in text
    assert r"A\_B & $\mathbf{80.0}$ & $\mathbf{30.0}$ & $\mathbf{40.0}$ \\" in text
    assert r"{\tiny [25.0, 35.0], sd 1.2}" in text


def test_bars_in_names_of_models_are_escaped():
    rows = make_rows()
    rows["model"] = rows["model"].replace("C", "KL(p || q)")
    assert "KL(p $|$$|$ q)" in robustness_to_latex(make_table(rows))
    assert "KL(p \\|\\| q)" in robustness_to_markdown(make_table(rows))


def test_summary_is_the_average_or_the_only_data_set():
    lines = robustness_summary(make_rows(("shapes", "stl10", "average")))
    assert lines[0] == "Average, A_B: accuracy in percent clean 80.0 [75.0, 85.0], pgd 30.0 [25.0, 35.0]"
    assert robustness_summary(make_rows())[1].startswith("Shapes, C: accuracy in percent")


@pytest.mark.parametrize(("share", "text"), [(0.123, "12.3"), (0.0, "0.0"), (1.0, "100.0"), (np.nan, "–")])
def test_percentages_have_one_decimal(share, text):
    assert format_percent(share) == text


@pytest.mark.parametrize(
    ("view", "column"),
    [
        ("clean", "clean"), ("pgd", "pgd"), ("cw", "cw"), ("aa", "aa"),
        ("pgd-10", None), ("pgd-2", None), ("ce", None), ("aa-t", None), ("aa-2", None),
    ],
)  # fmt: skip
def test_only_the_attacks_of_the_paper_are_compared(view, column):
    assert paper_column(view, ATTACKS) == column


def test_paper_is_shown_for_its_methods_in_the_average_of_its_data_sets():
    rows = make_rows((*DATASETS, "average")).drop(columns=["paper_value", "paper_harmonic"])
    table = add_paper_columns(rows, "ucat", ATTACKS, {"A_B": "clip", "C": None})
    shown = table[table["paper_value"].notna()]
    assert set(shown["dataset"]) == {"average"}
    assert shown["paper_value"].tolist() == pytest.approx([0.6445, 0.0346])
    assert set(shown["model"]) == {"A_B"}
    without = add_paper_columns(rows, None, ATTACKS, {"A_B": "clip"})
    assert without[["paper_value", "paper_harmonic"]].isna().all(axis=None)


def test_harmonic_mean_of_the_paper_is_that_with_its_autoattack():
    rows = make_rows((*DATASETS, "average")).replace({"view": {"pgd": "aa"}})
    table = add_paper_columns(rows, "ucat", ATTACKS, {"C": "ucat"})
    row = table[(table["dataset"] == "average") & (table["model"] == "C") & (table["view"] == "aa")].iloc[0]
    assert (row["paper_value"], row["paper_harmonic"]) == pytest.approx((0.3058, 0.3909))


def test_note_tells_why_the_paper_is_not_shown():
    (note,) = comparison_note("ucat", [name for name in DATASETS if name != "dtd"] + ["shapes"])
    assert "(dtd are missing; shapes are not among them)" in note
    assert comparison_note("ucat", list(DATASETS))[0].startswith("Third line")
    assert comparison_note(None, ["shapes"]) == []
