"""The methods of a table, best first."""

import re

import numpy as np

from helpers.synthetic_tables import make_metrics
from overtop.tables.published import PublishedNumbers
from overtop.tables.ranked import ranked_to_markdown
from overtop.tables.rows import combine_metrics

NBSP = "\N{NO-BREAK SPACE}"


def make_table(metrics):
    return PublishedNumbers().add_columns(
        combine_metrics([metrics if "n_tied" in metrics else metrics.assign(n_tied=0)])
    )


def read_grids(text):
    """By panel the rows of its grid, without head."""
    grids = {}
    for section in text.split("### ")[1:]:
        rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
        grids[section.splitlines()[0]] = rows[2:]
    return grids


def test_methods_of_each_direction_are_best_first():
    table = make_table(make_metrics(protocols=("published", "corrected"), binnings=("equal_width", "equal_count")))
    grids = read_grids(ranked_to_markdown(table))
    assert list(grids) == ["Shapes, text to image (2,000 queries)", "Shapes, image to text (400 queries)"]
    for (title, rows), direction in zip(grids.items(), ("t2i", "i2t"), strict=True):
        corrected = table[(table["direction"] == direction) & (table["protocol"] == "corrected")]
        expected = sorted(corrected.drop_duplicates(["estimator", "posterior"])["aurc"])
        assert [float(re.match(r"[\d.]+", row[1])[0]) for row in rows] == [round(value, 3) for value in expected], title
    assert rows[0][0].endswith((", deterministic", ", MC dropout"))


def test_row_has_intervals_the_bound_and_a_star_where_the_difference_is_significant():
    metrics = make_metrics().assign(aurc=0.25, aurc_low=0.2, aurc_high=0.3)
    metrics.loc[metrics["estimator"] == "adversarial_pgd", "p_holm"] = 0.01
    [rows, _] = read_grids(ranked_to_markdown(make_table(metrics))).values()
    by_method = {row[0]: row[1:] for row in rows}
    pgd = by_method["Adversarial (PGD), deterministic"]
    assert pgd == [
        f"0.250{NBSP}[0.200,{NBSP}0.300]\\*",
        f"0.333{NBSP}[0.233,{NBSP}0.433]",
        f"0.500{NBSP}[0.400,{NBSP}0.600]",
        f"0.700{NBSP}[0.600,{NBSP}0.800] / 0.900",
        f"0.500{NBSP}[0.400,{NBSP}0.600]",
    ]
    assert not by_method["Top-1 similarity, deterministic"][0].endswith("*")


def test_undefined_number_is_a_dash():
    metrics = make_metrics().assign(coverage=np.nan, coverage_low=np.nan, coverage_high=np.nan)
    [rows, _] = read_grids(ranked_to_markdown(make_table(metrics))).values()
    assert {row[-1] for row in rows} == {f"–{NBSP}[–,{NBSP}–]"}


def test_ties_are_counted_only_if_there_are_any():
    metrics = make_metrics().assign(n_tied=0)
    assert "equally similar" not in ranked_to_markdown(make_table(metrics))
    metrics.loc[metrics["direction"] == "t2i", "n_tied"] = 1200
    text = ranked_to_markdown(make_table(metrics))
    assert "equally similar: Shapes, text to image (2,000 queries): 1,200." in text


def test_note_names_the_rows_and_warns_of_choosing_the_best():
    text = ranked_to_markdown(make_table(make_metrics(protocols=("published", "corrected"))))
    assert "\nCorrected protocol; labelled positives. AURC" in text
    assert "choose on a validation split" in text
