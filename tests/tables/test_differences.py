import re

import numpy as np
import pandas as pd

from overtop.evaluation.comparison import COLUMNS
from overtop.pipeline.summary import summarise_run
from overtop.storage.tables import write_table
from overtop.tables.differences import differences_summary, differences_to_markdown

METHODS = {
    "a": ("l14", "deterministic", "ViT-L-14", "top1_similarity"),
    "b": ("l14-dropout", "mc_dropout", "ViT-L-14", "top1_consistency"),
    "c": ("l14", "deterministic", "ViT-L-14", "adversarial_pgd"),
}


def make_row(measure, first, second, difference, shown=True, p_holm=0.01, paper=np.nan, verdict=None, direction="t2i"):
    names = {
        f"{side}_{name}": value
        for side, method in (("first", first), ("second", second))
        for name, value in zip(("posterior", "kind", "architecture", "estimator"), METHODS[method], strict=True)
    }
    setup = {"dataset": "mscoco", "direction": direction, "protocol": "published", "measure": measure}
    numbers = {"difference": difference, "low": difference - 0.01, "high": difference + 0.02}
    tests = {"shown": shown, "p_value": p_holm / 3, "p_holm": p_holm, "paper_difference": paper, "verdict": verdict}
    return setup | names | numbers | tests | {"n_queries": 100, "n_clusters": 20, "resamples": 2000}


TABLE = pd.DataFrame(
    [
        make_row("neg_sr2", "a", "b", -0.1, paper=-0.07, verdict="survives"),
        make_row("aurc", "a", "b", 0.02),
        make_row("neg_sr2", "a", "c", 0.05, paper=-0.02, verdict="reversed"),
        make_row("aurc", "a", "c", -0.03),
        make_row("neg_sr2", "b", "c", 0.001, shown=False, p_holm=1, paper=0.09, verdict="not shown"),
        make_row("aurc", "b", "c", 0.001, shown=False, p_holm=1),
        make_row("neg_sr2", "a", "b", 0.3, paper=0, verdict="tie", direction="i2t"),
        make_row("aurc", "a", "b", 0.02, shown=False, direction="i2t"),
    ]
)[COLUMNS]


def cells(text, start):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {start}")]


def test_overview_counts_pairs_differences_and_verdicts():
    overview = differences_to_markdown(TABLE).split("###")[0]
    assert "from 2,000 resamples" in overview
    assert "after Holm's adjustment" in overview
    assert cells(overview, "MSCOCO") == [
        ["MSCOCO, text to image, published protocol", "3", "2", "2", "1", "1", "1", "0"],
        ["MSCOCO, image to text, published protocol", "1", "1", "0", "0", "0", "0", "1"],
    ]


def test_section_lists_the_methods_that_each_method_is_better_than():
    t2i, i2t = differences_to_markdown(TABLE).split("###")[1:]
    assert "| 1 | Top-1 similarity, deterministic | 3 | 3 |" in t2i
    assert "| 2 | Top-1 consistency, MC dropout | 1 | 1 |" in t2i
    assert "| 3 | Adversarial (PGD), deterministic |  |  |" in t2i
    assert "| 1 | Top-1 similarity, deterministic | 2 |  |" in i2t


def test_section_lists_the_papers_differences_that_survive_or_are_reversed():
    t2i, i2t = differences_to_markdown(TABLE).split("###")[1:]
    assert cells(t2i, "Top-1") == [
        ["Top-1 consistency, MC dropout over Top-1 similarity, deterministic", "survives", "0.100"]
        + ["[0.080, 0.110]", "0.07"],
        ["Top-1 similarity, deterministic over Adversarial (PGD), deterministic", "reversed", "0.050"]
        + ["[0.040, 0.070]", "-0.02"],
    ]
    assert "The paper's differences" not in i2t


def test_paper_is_not_mentioned_without_a_reference():
    text = differences_to_markdown(TABLE.assign(verdict=None, paper_difference=np.nan))
    assert "paper" not in text
    assert {line.count("|") for line in text.split("###")[0].splitlines() if line.startswith("|")} == {5}


def test_empty_table_has_no_methods_to_compare():
    assert "no two methods" in differences_to_markdown(TABLE.iloc[:0])


def test_rows_of_a_grid_have_the_same_number_of_cells():
    for block in re.findall(r"(?:^\|.*\n)+", differences_to_markdown(TABLE), flags=re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_summary_counts_the_papers_differences_by_verdict(tmp_path):
    expected = [
        "MSCOCO, text to image, published protocol: the paper's 3 differences: survives 1, reversed 1, "
        "not shown 1, tie 0",
        "MSCOCO, image to text, published protocol: the paper's 1 differences: survives 0, reversed 0, "
        "not shown 0, tie 1",
    ]
    assert differences_summary(TABLE) == expected
    write_table(tmp_path / "results/differences/mine.csv", TABLE)
    write_table(tmp_path / "results/differences/other.csv", TABLE.assign(verdict=None))
    lines = summarise_run([str(tmp_path / f"results/differences/{name}.csv") for name in ("mine", "other")])
    assert [line.strip() for line in lines if "the paper's" in line] == expected
